package config

import (
	"errors"
	"maps"
	"math"
	"net"
	"net/netip"
	"reflect"
	"slices"
	"strconv"
	"strings"
	"time"
)

// decoder fills in a Config, and reports what does not fit: unknown keys, values of another type, durations
// without a unit, addresses without a port. What does not fit is left as it was.
type decoder struct {
	*report
	set map[string]bool // the keys that have a value
}

// decode puts a value, as a parser gives it, into out.
func (d *decoder) decode(key string, in any, out reflect.Value) {
	switch {
	case in == nil: // a key without a value
	case out.Kind() == reflect.Struct:
		d.decodeGroup(key, in, out)
	case out.Kind() == reflect.Slice:
		d.decodeList(key, in, out)
	default:
		d.set[key] = true
		d.decodeScalar(key, in, out)
	}
}

func (d *decoder) decodeGroup(key string, in any, out reflect.Value) {
	tree, ok := in.(map[string]any)
	if !ok {
		d.add(key, nil, "is "+kind(in)+", not a group of known keys", "they are "+strings.Join(keys(out.Type()), ", "))
		return
	}
	unknown := maps.Clone(tree)
	for f := range fields(out.Type()) {
		name := kebab(f.Name)
		d.decode(below(key, name), tree[name], out.FieldByIndex(f.Index))
		delete(unknown, name)
	}
	for _, name := range slices.Sorted(maps.Keys(unknown)) {
		d.add(below(key, name), nil, "is not a known key", didYouMean(name, keys(out.Type()))) // its value may be a secret
	}
}

func (d *decoder) decodeList(key string, in any, out reflect.Value) {
	elements, ok := in.([]any)
	if !ok {
		d.add(key, nil, "is "+kind(in)+", not a list", "")
		return
	}
	for i, in := range elements {
		e := reflect.New(out.Type().Elem()).Elem()
		switch e := e.Addr().Interface().(type) {
		case *Master:
			*e = DefaultMaster()
		case *Webhook:
			*e = DefaultWebhook()
		case *Token:
			e.Role = RoleRead
		}
		d.decode(element(key, i), in, e)
		out.Set(reflect.Append(out, e))
	}
}

func (d *decoder) decodeScalar(key string, in any, out reflect.Value) {
	switch out := out.Addr().Interface().(type) {
	case *string:
		if text, ok := d.text(key, in, in); ok {
			*out = text
		}
	case *Addr:
		d.decodeAddr(key, in, out)
	case *Secret:
		if text, ok := d.text(key, in, Secret(stars)); ok {
			*out = Secret(text)
		}
	case *time.Duration:
		d.decodeDuration(key, in, out)
	case *int:
		if n, ok := whole(in); ok {
			*out = n
		} else {
			d.add(key, in, "is not a whole number", "")
		}
	case *bool:
		if b, ok := in.(bool); ok {
			*out = b
		} else {
			d.add(key, in, "is neither true nor false", "")
		}
	}
}

// text reads text, or reports that it is none and shows the other value instead.
func (d *decoder) text(key string, in, shown any) (text string, ok bool) {
	if text, ok = in.(string); !ok {
		remedy := "write it in quotes"
		if show(in) == "" {
			shown, remedy = nil, ""
		}
		d.add(key, shown, "is "+kind(in)+", not text", remedy)
	}
	return text, ok
}

func (d *decoder) decodeDuration(key string, in any, out *time.Duration) {
	text, ok := in.(string)
	if _, err := strconv.ParseFloat(text, 64); !ok && kind(in) == aNumber || err == nil && text != "0" {
		d.add(key, in, "has no unit", "write it like 1s or 500ms")
		return
	}
	value, err := time.ParseDuration(text)
	switch {
	case err != nil:
		d.add(key, in, "is not a duration", "write it like 1s or 500ms")
	case value < 0:
		d.add(key, in, "is negative", "")
	default:
		*out = value
	}
}

func (d *decoder) decodeAddr(key string, in any, out *Addr) {
	text, ok := d.text(key, in, in)
	if !ok {
		return
	}
	if text == "" {
		*out = ""
		return
	}
	addr, err := parseAddr(text)
	if err != nil {
		d.add(key, text, err.Error(), "write it like 10.0.0.1:6379, redis-1.example.com:6379 or [fd00::1]:6379")
		return
	}
	*out = addr
}

// parseAddr reads an address. IP addresses have many spellings; one server must have one.
func parseAddr(text string) (Addr, error) {
	host, digits, err := net.SplitHostPort(text)
	if err != nil {
		return "", errors.New("is not HOST:PORT")
	}
	port, err := strconv.ParseUint(digits, 10, 16)
	if err != nil || port == 0 {
		return "", errors.New("its port is not a number from 1 to 65535")
	}
	if host, err = parseHost(host); err != nil {
		return "", err
	}
	return NewAddr(host, int(port)), nil
}

func parseHost(host string) (string, error) {
	if ip, err := netip.ParseAddr(host); err == nil {
		return ip.Unmap().String(), nil
	}
	const digits, others = "0123456789.", "-_abcdefghijklmnopqrstuvwxyz"
	switch lower := strings.ToLower(host); {
	case host == "":
		return "", errors.New("names no host")
	case strings.Trim(lower, digits) == "":
		return "", errors.New("its host is not an IP address")
	case strings.Trim(lower, digits+others) != "":
		return "", errors.New("its host is neither an IP address nor a name")
	}
	return strings.TrimSuffix(strings.ToLower(host), "."), nil
}

// CanonicalHost gives a host in the one spelling that it has here: an IP address has many, and a name no case. ok is false for what is neither.
func CanonicalHost(host string) (canonical string, ok bool) {
	canonical, err := parseHost(host)
	return canonical, err == nil
}

// whole reads a whole number. JSON has only floating-point ones.
func whole(in any) (int, bool) {
	switch n := in.(type) {
	case int:
		return n, true
	case int64:
		return int(n), int64(int(n)) == n
	case float64:
		return int(n), n == math.Trunc(n) && math.Abs(n) < 1<<31
	}
	return 0, false
}

const aNumber = "a number"

// kind says in words what a parser gave.
func kind(in any) string {
	switch in.(type) {
	case string:
		return "text"
	case bool:
		return "true or false"
	case int, int64, uint64, float64:
		return aNumber
	case []any:
		return "a list"
	case map[string]any:
		return "a group of keys"
	case map[any]any:
		return "a group with a key that is not text"
	}
	return "a date"
}
