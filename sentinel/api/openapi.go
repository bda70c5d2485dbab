package api

import (
	"cmp"
	"encoding"
	"encoding/json"
	"net/http"
	"reflect"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"time"

	"picket/monitor"
)

// object is a JSON object of the description.
type object = map[string]any

// about is what the description says of the whole.
const about = `Every agent answers, and passes what changes something on to the leader. Durations are whole milliseconds in fields that end in _ms, ` +
	`-1 where there is none; sizes and lags are bytes; moments are RFC 3339. Errors are problem+json (RFC 9457) with a remedy. A role includes those ` +
	`before it: read, operate, admin.`

// describe adds the route of the description, which is made of the others' and so comes last.
func (d *door) describe(version string) {
	d.handle("GET /v1/openapi.json", Anybody, operation{summary: "This description, OpenAPI 3.1.", answer: object{}},
		func(w http.ResponseWriter, _ *http.Request) { reply(w, http.StatusOK, d.description) })
	description, err := json.Marshal(d.openAPI(version))
	if err != nil {
		panic("api: the description can't be encoded: " + err.Error()) // it is made of nothing but maps, lists and text
	}
	d.description = description
}

// openAPI describes all routes. Nothing is said of fields beside those that it names: clients must take in what is added later.
func (d *door) openAPI(version string) object {
	schemas := schemas{known: object{}, types: map[string]reflect.Type{}}
	paths := object{}
	for _, r := range d.routes {
		path := strings.ReplaceAll(strings.ReplaceAll(r.path, "...}", "}"), "{$}", "")
		methods, ok := paths[path].(object)
		if !ok {
			methods = object{}
			paths[path] = methods
		}
		methods[strings.ToLower(r.method)] = r.describe(path, &schemas)
	}
	return object{
		"openapi": "3.1.0",
		"info":    object{"title": "Picket", "version": cmp.Or(version, "devel"), "description": about, "license": object{"name": "MIT", "identifier": "MIT"}},
		"servers": []object{{"url": "/"}},
		"paths":   paths,
		"components": object{"schemas": schemas.known, "securitySchemes": object{
			"token":       object{"type": "http", "scheme": "bearer", "description": "One of http.tokens"},
			"certificate": object{"type": "mutualTLS", "description": "One that http.tls.ca signs; its role is http.client-role"},
		}},
	}
}

var variable = regexp.MustCompile(`\{(\w+)\}`)

func (r route) describe(path string, s *schemas) object {
	o := r.operation
	parameters := []object{}
	for _, m := range variable.FindAllStringSubmatch(path, -1) {
		parameters = append(parameters, object{"name": m[1], "in": "path", "required": true, "schema": object{"type": "string"}})
	}
	for in, list := range map[string][]parameter{"query": o.query, "header": o.header} {
		for _, p := range list {
			parameters = append(parameters, object{"name": p.name, "in": in, "description": p.text, "required": p.required, "schema": object{"type": "string"}})
		}
	}
	slices.SortStableFunc(parameters, func(a, b object) int { return cmp.Compare(b["in"].(string), a["in"].(string)) })
	described := object{
		"operationId": strings.ToLower(r.method) + strings.NewReplacer("/", "_", "{", "", "}", "", "-", "_", ".", "_").Replace(path),
		"summary":     o.summary, "description": "Role: " + r.role.String() + ".", "responses": r.responses(s),
	}
	if len(parameters) > 0 {
		described["parameters"] = parameters
	}
	switch {
	case o.text:
		described["requestBody"] = object{"required": true, "content": object{"text/plain": object{"schema": object{"type": "string"}}}}
	case o.body != nil:
		described["requestBody"] = object{"required": true, "content": object{"application/json": object{"schema": s.of(reflect.TypeOf(o.body))}}}
	}
	described["security"] = []object{{"token": []string{}}, {"certificate": []string{}}, {}}
	if r.role == Anybody {
		described["security"] = []object{}
	}
	return described
}

// speaks says whether answers have a body.
func (r route) speaks() bool { return r.method != http.MethodHead && r.method != http.MethodOptions }

func (r route) responses(s *schemas) object {
	o := r.operation
	content := object{}
	switch {
	case o.either != nil:
		content["application/json"] = object{"schema": object{"anyOf": []object{s.of(reflect.TypeOf(o.answer)), s.of(reflect.TypeOf(o.either))}}}
	case o.answer != nil:
		content["application/json"] = object{"schema": s.of(reflect.TypeOf(o.answer))}
	}
	for _, media := range o.media {
		content[media] = object{"schema": object{"type": "string"}}
	}
	if o.stream {
		content["text/event-stream"] = object{"schema": object{"type": "string"}}
	}
	success := object{"description": "Success"}
	if len(content) > 0 && r.speaks() {
		success["content"] = content
	}
	responses := object{"200": success, "default": object{
		"description": "A problem, with a remedy", "content": object{"application/problem+json": object{"schema": s.of(reflect.TypeFor[Problem]())}},
	}}
	for code, body := range o.also {
		answer := object{"description": http.StatusText(code)}
		if body != nil && r.speaks() {
			answer["content"] = object{"application/json": object{"schema": s.of(reflect.TypeOf(body))}}
		}
		responses[strconv.Itoa(code)] = answer
	}
	return responses
}

// schemas are those of the description's types, by name.
type schemas struct {
	known object
	types map[string]reflect.Type
}

var (
	timeType   = reflect.TypeFor[time.Time]()
	momentType = reflect.TypeFor[monitor.Moment]()
	rawType    = reflect.TypeFor[json.RawMessage]()
	textType   = reflect.TypeFor[encoding.TextMarshaler]()
	objectType = reflect.TypeFor[object]()
	shapedType = reflect.TypeFor[interface{ JSONForm() any }]()
)

// of describes the JSON of a type. Structs are described once, and referred to.
func (s *schemas) of(t reflect.Type) object {
	switch {
	case t == timeType, t == momentType:
		return object{"type": "string", "format": "date-time"}
	case t == rawType, t.Kind() == reflect.Interface:
		return object{}
	case t == objectType:
		return object{"type": "object"}
	case t.Kind() == reflect.Pointer:
		return s.of(t.Elem())
	case t.Kind() == reflect.Struct:
		return s.refer(t)
	case t.Implements(textType), t.Kind() == reflect.String:
		return object{"type": "string"}
	}
	switch t.Kind() {
	case reflect.Bool:
		return object{"type": "boolean"}
	case reflect.Slice, reflect.Array:
		return object{"type": "array", "items": s.of(t.Elem())}
	case reflect.Map:
		return object{"type": "object", "additionalProperties": s.of(t.Elem())}
	case reflect.Float32, reflect.Float64:
		return object{"type": "number"}
	}
	return object{"type": "integer"}
}

// refer refers to a struct. One whose JSON has another form is described by that.
func (s *schemas) refer(t reflect.Type) object {
	name := t.Name()
	if other := s.types[name]; other != nil && other != t {
		pkg := t.PkgPath()[strings.LastIndex(t.PkgPath(), "/")+1:]
		name = strings.ToUpper(pkg[:1]) + pkg[1:] + name
	}
	if s.types[name] == nil {
		s.types[name] = t
		if t.Implements(shapedType) {
			t = reflect.TypeOf(reflect.Zero(t).Interface().(interface{ JSONForm() any }).JSONForm())
		}
		described := object{"type": "object"}
		s.known[name] = described // before its fields: it may be among them
		properties, required := object{}, []string{}
		s.fields(t, properties, &required)
		described["properties"] = properties
		if len(required) > 0 {
			described["required"] = required
		}
	}
	return object{"$ref": "#/components/schemas/" + name}
}

func (s *schemas) fields(t reflect.Type, properties object, required *[]string) {
	for i := range t.NumField() {
		f := t.Field(i)
		name, options, _ := strings.Cut(f.Tag.Get("json"), ",")
		switch {
		case f.Anonymous && name == "":
			s.fields(f.Type, properties, required)
			continue
		case name == "-" || !f.IsExported():
			continue
		}
		name = cmp.Or(name, f.Name)
		properties[name] = s.of(f.Type)
		if !strings.Contains(options, "omit") {
			*required = append(*required, name)
		}
	}
}
