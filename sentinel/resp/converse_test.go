package resp

import (
	"bufio"
	"cmp"
	"errors"
	"fmt"
	"io"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"testing"
)

// exchangeLines is converse, with the answers as texts.
func exchangeLines(t *testing.T, addr string, protocol int, typed bool, lines []string) []string {
	t.Helper()
	answers := []string{}
	for _, v := range converse(t, addr, protocol, typed, lines) {
		answers = append(answers, v.steady())
	}
	return answers
}

// lastWord ends a conversation.
const lastWord = "the-last-word"

// converse sends lines at once, on a connection of its own, and gives all answers until the connection ends, or the answer to one line more.
func converse(t *testing.T, addr string, protocol int, typed bool, lines []string) []value {
	t.Helper()
	conn := dial(t, addr)
	defer conn.Close()
	in := bufio.NewReader(conn)
	send(t, conn, fmt.Sprint("HELLO ", protocol))
	if _, err := read(in); err != nil {
		t.Fatal(err)
	}
	var all strings.Builder
	for _, line := range append(slices.Clone(lines), "PING "+lastWord) {
		all.WriteString(encoded(t, line, typed))
	}
	if _, err := io.WriteString(conn, all.String()); err != nil {
		t.Fatal(err)
	}
	var answers []value
	for {
		v, err := read(in)
		if err != nil {
			if !errors.Is(err, io.EOF) && !strings.Contains(err.Error(), "reset by peer") {
				t.Fatalf("%q: %v", lines, err)
			}
			return append(answers, value{kind: '-', text: "closed"})
		}
		if v.text == lastWord || slices.ContainsFunc(v.parts, func(part value) bool { return part.text == lastWord }) {
			return answers
		}
		answers = append(answers, v)
	}
}

// encoded is a line as somebody types it, or as a program writes it. A Go string is sent as it is.
func encoded(t *testing.T, line string, typed bool) string {
	t.Helper()
	if strings.HasPrefix(line, `"`) {
		text, err := strconv.Unquote(line)
		if err != nil {
			t.Fatalf("%s: %v", line, err)
		}
		return text
	}
	if typed {
		return line + "\r\n"
	}
	words, err := splitInline(line)
	if err != nil {
		t.Fatalf("%s: %v", line, err)
	}
	return frame("*", words...)
}

// momentary are the fields whose values depend on the moment.
var momentary = []string{
	"id", "last-ping-sent", "last-ok-ping-reply", "last-ping-reply", "info-refresh", "role-reported-time", "link-pending-commands",
	"slave-repl-offset", "last-hello-message", "age-seconds",
}

var (
	anyRunID = regexp.MustCompile("^[0-9a-f]{40}$")
	// anyClient are the numbers in a line of CLIENT LIST that depend on the moment, or are of memory.
	anyClient = regexp.MustCompile(`\b(id|addr|laddr|fd|age|idle|qbuf|qbuf-free|rbs|rbp|obl|oll|omem|tot-mem)=[^ ]*`)
)

// steady prints a reply without what depends on the moment, and lists without order in order.
func (v value) steady() string {
	if v.null != 0 {
		return fmt.Sprintf("_%c", v.null)
	}
	if v.parts == nil {
		text := anyRunID.ReplaceAllString(v.text, "RUNID")
		if strings.Contains(text, " laddr=") {
			text = anyClient.ReplaceAllString(text, "$1=…")
		}
		return string(v.kind) + text
	}
	var parts []string
	for i, part := range v.parts {
		if i%2 == 1 && slices.Contains(momentary, v.parts[i-1].text) {
			part = value{kind: part.kind, text: "…"}
		}
		parts = append(parts, part.steady())
	}
	if v.unordered() {
		slices.SortFunc(parts, cmp.Compare[string])
	}
	return fmt.Sprintf("%c%v", v.kind, parts)
}

var known = newTable().byName

// unordered says that a list is of masters, replicas or Sentinels, or of commands.
func (v value) unordered() bool {
	if v.kind == '%' {
		return false
	}
	first := v.parts[0]
	return len(first.parts) > 0 && (first.parts[0].text == "name" || known[first.parts[0].text] != nil) ||
		!slices.ContainsFunc(v.parts, func(part value) bool { return known[part.text] == nil })
}
