package model

import (
	"bufio"
	"fmt"
	"io"
	"strconv"
	"strings"
)

// readReply reads a reply and renders it as redis-cli does.
func readReply(r *bufio.Reader, indent string) (string, error) {
	line, err := r.ReadString('\n')
	if err != nil {
		return "", err
	}
	line = strings.TrimSuffix(line, "\r\n")
	n, _ := strconv.Atoi(line[1:]) // used where it is a number
	switch line[0] {
	case '+':
		return line[1:] + "\n", nil
	case '-':
		return "(error) " + line[1:] + "\n", nil
	case ':':
		return "(integer) " + line[1:] + "\n", nil
	case '$':
		if n < 0 {
			return "(nil)\n", nil
		}
		text := make([]byte, n+2)
		if _, err := io.ReadFull(r, text); err != nil {
			return "", err
		}
		return strconv.Quote(string(text[:n])) + "\n", nil
	case '*':
		if n < 0 {
			return "(nil array)\n", nil
		}
		if n == 0 {
			return "(empty)\n", nil
		}
		var b strings.Builder
		for i := range n {
			element, err := readReply(r, indent+"   ")
			if err != nil {
				return "", err
			}
			if i > 0 {
				b.WriteString(indent)
			}
			fmt.Fprintf(&b, "%d) %s", i+1, element)
		}
		return b.String(), nil
	}
	return "", fmt.Errorf("what is %q?", line)
}
