package sentinelconf

import (
	"encoding/hex"
	"errors"
	"fmt"
	"strings"
)

var errQuotes = errors.New("its quotes are not balanced")

// Split takes a line apart as Redis does: at white space, outside of "…", in which a backslash escapes, and '…', in which only \' is special.
// A closing quote ends the word.
func Split(line string) ([]string, error) {
	var words []string
	for {
		if line = strings.TrimLeft(line, " \t\n\v\f\r"); line == "" {
			return words, nil
		}
		word, rest, err := cutWord(line)
		if err != nil {
			return nil, err
		}
		words, line = append(words, word), rest
	}
}

// cutWord takes the first word off a line that begins with one.
func cutWord(line string) (word, rest string, err error) {
	var b strings.Builder
	for i := 0; i < len(line); i++ {
		switch c := line[i]; c {
		case ' ', '\t', '\n', '\r':
			return b.String(), line[i:], nil
		case '"', '\'':
			n, ok := quoted(&b, line[i+1:], c)
			rest = line[i+1+n:]
			if !ok || rest != "" && !strings.ContainsRune(" \t\n\v\f\r", rune(rest[0])) {
				return "", "", errQuotes
			}
			return b.String(), rest, nil
		default:
			b.WriteByte(c)
		}
	}
	return b.String(), "", nil
}

// quoted reads up to and including the closing quote. It says how many bytes that were; ok is false where there is none.
func quoted(b *strings.Builder, text string, quote byte) (n int, ok bool) {
	for i := 0; i < len(text); i++ {
		c := text[i]
		switch {
		case c == quote:
			return i + 1, true
		case c == '\\' && quote == '"' && i+1 < len(text):
			char, used := unescape(text[i+1:])
			b.WriteByte(char)
			i += used
		case c == '\\' && strings.HasPrefix(text[i+1:], "'"):
			b.WriteByte('\'')
			i++
		default:
			b.WriteByte(c)
		}
	}
	return len(text), false
}

// unescape reads what follows a backslash.
func unescape(text string) (char byte, used int) {
	if code, err := hex.DecodeString(text[min(1, len(text)):min(3, len(text))]); text[0] == 'x' && err == nil && len(code) == 1 {
		return code[0], 3
	}
	if at := strings.IndexByte("nrtba", text[0]); at >= 0 {
		return "\n\r\t\b\a"[at], 1
	}
	return text[0], 1
}

// Quote writes a word so that Split reads it again. Redis Sentinel leaves the quotes away, and then can't read what it wrote.
func Quote(word string) string {
	if word != "" && strings.IndexFunc(word, func(c rune) bool { return c <= ' ' || c == '"' || c == '\'' || c == 0x7f }) < 0 {
		return word
	}
	var b strings.Builder
	b.WriteByte('"')
	for i := range len(word) {
		switch c := word[i]; {
		case c == '"' || c == '\\':
			b.WriteByte('\\')
			b.WriteByte(c)
		case c < ' ' || c == 0x7f:
			fmt.Fprintf(&b, `\x%02x`, c)
		default:
			b.WriteByte(c)
		}
	}
	b.WriteByte('"')
	return b.String()
}

// Join writes words as one line.
func Join(words ...string) string {
	quoted := make([]string, len(words))
	for i, w := range words {
		quoted[i] = Quote(w)
	}
	return strings.Join(quoted, " ")
}
