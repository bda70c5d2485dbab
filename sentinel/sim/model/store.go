package model

import (
	"maps"
	"slices"
	"strconv"
	"time"
)

const databases = 16

// value is one key's: exactly one of them.
type value struct {
	text *string
	list []string
	set  map[string]struct{}
	hash map[string]string
}

func (v *value) kind() string {
	switch {
	case v.text != nil:
		return "string"
	case v.set != nil:
		return "set"
	case v.hash != nil:
		return "hash"
	}
	return "list"
}

func (v *value) empty() bool { return v.text == nil && len(v.list)+len(v.set)+len(v.hash) == 0 }

// database is one of those that SELECT selects.
type database struct {
	keys    map[string]*value
	expires map[string]int64 // Unix time in ms; a subset of keys
}

type dataset [databases]database

func (d *dataset) size() (keys int) {
	for i := range d {
		keys += len(d[i].keys)
	}
	return keys
}

// without counts the keys that another one does not have.
func (d *dataset) without(other *dataset) (keys int) {
	for i := range d {
		for key := range d[i].keys {
			if other[i].keys[key] == nil {
				keys++
			}
		}
	}
	return keys
}

func (d *dataset) clear() { *d = dataset{} }

func (d *database) put(key string, v *value) {
	if d.keys == nil {
		d.keys = map[string]*value{}
	}
	d.keys[key] = v
}

func (d *database) remove(key string) bool {
	_, had := d.keys[key]
	delete(d.keys, key)
	delete(d.expires, key)
	return had
}

func (d *database) expireAt(key string, ms int64) {
	if d.expires == nil {
		d.expires = map[string]int64{}
	}
	d.expires[key] = ms
}

// expired says whether a key's time is up; it may still be there.
func (d *database) expired(key string) bool {
	at, ok := d.expires[key]
	return ok && time.Now().UnixMilli() > at
}

func (d *database) dump() map[string][]string {
	out := make(map[string][]string, len(d.keys))
	for key, v := range d.keys {
		switch {
		case v.text != nil:
			out[key] = []string{*v.text}
		case v.set != nil:
			out[key] = slices.Sorted(maps.Keys(v.set))
		case v.hash != nil:
			out[key] = nil
			for _, field := range slices.Sorted(maps.Keys(v.hash)) {
				out[key] = append(out[key], field, v.hash[field])
			}
		default:
			out[key] = slices.Clone(v.list)
		}
	}
	return out
}

// encode is the data as commands that make them, in an order that does not depend on chance.
func (d *dataset) encode() []byte {
	out := []byte{} // not nil: an empty snapshot is one, too
	for i := range d {
		db := &d[i]
		if len(db.keys) == 0 {
			continue
		}
		out = appendCommand(out, "SELECT", strconv.Itoa(i))
		for _, key := range slices.Sorted(maps.Keys(db.keys)) {
			out = appendCommand(out, db.keys[key].recipe(key)...)
			if at, ok := db.expires[key]; ok {
				out = appendCommand(out, "PEXPIREAT", key, strconv.FormatInt(at, 10))
			}
		}
	}
	return out
}

// recipe is the command that makes the value.
func (v *value) recipe(key string) []string {
	switch {
	case v.text != nil:
		return []string{"SET", key, *v.text}
	case v.set != nil:
		return append([]string{"SADD", key}, slices.Sorted(maps.Keys(v.set))...)
	case v.hash != nil:
		out := []string{"HSET", key}
		for _, field := range slices.Sorted(maps.Keys(v.hash)) {
			out = append(out, field, v.hash[field])
		}
		return out
	}
	return append([]string{"RPUSH", key}, v.list...)
}
