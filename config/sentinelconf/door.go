package sentinelconf

import (
	"io"
	"os"
	"strings"

	"picket/config"
)

// door is what clients must give to be let in.
type door struct {
	password bool     // by requirepass
	user     []string // the line of the default user, without its first word; nil: there is none
	file     string   // of users; empty: there is none
}

// open says whether somebody who gives no password is let in. What is said of the default user itself outranks requirepass, as when the port is opened.
// Of a file that can't be read the worst is thought.
func (d door) open() bool {
	words := d.user
	if d.file != "" {
		text, err := readUsers(d.file)
		if err != nil {
			return true
		}
		if found := defaultUser(text); found != nil {
			words = found
		}
	}
	if words == nil {
		return !d.password
	}
	return opens(words[1:])
}

func readUsers(path string) (string, error) {
	file, err := os.Open(path)
	if err != nil {
		return "", err
	}
	defer func() { _ = file.Close() }() // it was only read
	text, err := io.ReadAll(io.LimitReader(file, config.MaxACLFile))
	return string(text), err
}

// defaultUser gives the line of the default user in a file of users, without its first word; nil: it has none.
func defaultUser(text string) []string {
	for line := range strings.Lines(text) {
		if words := strings.Fields(line); len(words) > 1 && words[0] == "user" && words[1] == defaultName {
			return words[1:]
		}
	}
	return nil
}

const defaultName = "default" // of the user that a connection has which gave no name

// opens says whether rules let in who gives no password: their user is on, and needs none. Other rules are not looked at.
func opens(rules []string) bool {
	on, noPass := false, false
	for _, rule := range rules {
		switch word := strings.ToLower(rule); {
		case word == "on":
			on = true
		case word == "off":
			on = false
		case word == "nopass":
			noPass = true
		case word == "reset":
			on, noPass = false, false
		case word == "resetpass" || strings.HasPrefix(word, ">") || strings.HasPrefix(word, "#"):
			noPass = false
		}
	}
	return on && noPass
}
