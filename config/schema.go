package config

import (
	"fmt"
	"reflect"
	"strings"
	"unicode"
)

// kebab turns the name of a field into its key: PeerTLS into peer-tls, ACLFile into acl-file.
func kebab(field string) string {
	var b strings.Builder
	for i, c := range field {
		if i > 0 && unicode.IsUpper(c) && (!unicode.IsUpper(rune(field[i-1])) || i+1 < len(field) && unicode.IsLower(rune(field[i+1]))) {
			b.WriteByte('-')
		}
		b.WriteRune(unicode.ToLower(c))
	}
	return b.String()
}

// keys lists the keys of a struct.
func keys(t reflect.Type) []string {
	var list []string
	for f := range fields(t) {
		list = append(list, kebab(f.Name))
	}
	return list
}

// fields yields the exported fields of a struct: those that have a key.
func fields(t reflect.Type) func(func(reflect.StructField) bool) {
	return func(yield func(reflect.StructField) bool) {
		for _, f := range reflect.VisibleFields(t) {
			if f.IsExported() && !yield(f) {
				return
			}
		}
	}
}

// scalars visits every value that is not in a list: those that flags and the environment may set.
func scalars(key string, v reflect.Value, visit func(key string, v reflect.Value)) {
	switch v.Kind() {
	case reflect.Struct:
		for f := range fields(v.Type()) {
			scalars(below(key, kebab(f.Name)), v.FieldByIndex(f.Index), visit)
		}
	case reflect.Slice:
	default:
		visit(key, v)
	}
}

// below is the key of a field.
func below(key, field string) string {
	if key == "" {
		return field
	}
	return key + "." + field
}

// element is the key of a list's element.
func element(key string, i int) string { return fmt.Sprintf("%s[%d]", key, i) }

// Nearest finds the one of the words that somebody most likely meant; "" if none is near.
func Nearest(word string, words []string) string {
	best, least := "", 3
	for _, candidate := range words {
		if d := distance(plain(word), plain(candidate)); d < least && d < len(candidate) {
			best, least = candidate, d
		}
	}
	return best
}

// plain leaves away what people write differently: downAfter, down_after.
func plain(word string) string {
	return strings.NewReplacer("-", "", "_", "").Replace(strings.ToLower(word))
}

// distance counts the letters that have to be put in, taken away or replaced to turn one word into the other.
func distance(a, b string) int {
	row := make([]int, len(b)+1) // row[j]: from the part of a that was seen to b[:j]
	for j := range row {
		row[j] = j
	}
	for i := range len(a) {
		diagonal := row[0]
		row[0] = i + 1
		for j := range len(b) {
			replace := diagonal
			if a[i] != b[j] {
				replace++
			}
			diagonal = row[j+1]
			row[j+1] = min(row[j]+1, row[j+1]+1, replace)
		}
	}
	return row[len(b)]
}

// didYouMean is a remedy for a word that is not one of some words.
func didYouMean(word string, words []string) string {
	if near := Nearest(word, words); near != "" {
		return fmt.Sprintf("did you mean %s?", near)
	}
	return "use one of " + strings.Join(words, ", ")
}
