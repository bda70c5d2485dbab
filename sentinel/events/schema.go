package events

import "slices"

// object is a JSON schema, or a part of one.
type object = map[string]any

// schemas are those of the fields' kinds that JSON schema has no word for.
var schemas = map[string]object{
	address:   {"type": text, "pattern": ":[0-9]+$"},
	addresses: {"type": "array", "items": object{"type": text, "pattern": ":[0-9]+$"}},
	moment:    {"type": text, "format": "date-time"},
	options: {"type": "array", "items": object{
		"type": "object", "required": []string{"name", "value"}, "properties": object{"name": object{"type": text}, "value": object{"type": text}},
	}},
}

// schema is that of a field.
func (f field) schema() object {
	s := object{"description": f.text}
	if special, ok := schemas[f.kind]; ok {
		for key, value := range special {
			s[key] = value
		}
		return s
	}
	s["type"] = f.kind
	return s
}

// Schema is the JSON schema of the type's data.
func (k *Kind) Schema() map[string]any {
	properties := object{}
	for _, name := range slices.Concat(k.Always, k.Perhaps) {
		properties[name] = fields[name].schema()
	}
	return object{"description": k.Text, "type": "object", "required": k.Always, "properties": properties, "additionalProperties": false}
}

// Schema is the JSON schema of every event as Encode gives it.
func Schema() map[string]any {
	var names []string
	var data []object
	defs := object{}
	for i := range Catalogue {
		k := &Catalogue[i]
		names = append(names, Name(k.Type))
		defs[string(k.Type)] = k.Schema()
		then := object{"properties": object{"data": object{"$ref": "#/$defs/" + string(k.Type)}}}
		if k.Master {
			then["required"] = []string{"subject"}
		}
		data = append(data, object{"if": object{"properties": object{"type": object{"const": Name(k.Type)}}}, "then": then})
	}
	digits := object{"type": text, "pattern": "^[0-9]+$"}
	return object{
		"$schema": "https://json-schema.org/draft/2020-12/schema", "title": "Picket's events: CloudEvents 1.0, structured JSON", "type": "object",
		"required": []string{"specversion", "id", "source", "type", "time", "datacontenttype", "sequence", "epoch", "data"},
		"properties": object{
			"specversion": object{"const": "1.0"}, "id": object{"type": text, "minLength": 1}, "source": object{"type": text, "pattern": "^/clusters/"},
			"type": object{"enum": names}, "subject": object{"type": text, "description": "the master"}, "time": schemas[moment],
			"datacontenttype": object{"const": "application/json"}, "sequence": digits, "epoch": digits,
			"traceparent": object{"type": "string", "pattern": "^00-[0-9a-f]{32}-[0-9a-f]{16}-01$"}, "data": object{"type": "object"},
		},
		"additionalProperties": false, "allOf": data, "$defs": defs,
	}
}
