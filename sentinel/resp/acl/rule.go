package acl

import (
	"crypto/sha256"
	"encoding/hex"
	"slices"
	"strings"
)

// RuleError says what is wrong with a rule, in Redis's words.
type RuleError struct {
	Rule string
	Text string
}

func (e *RuleError) Error() string { return e.Text }

// What can be wrong.
const (
	syntaxError    = "Syntax error"
	unknownName    = "Unknown command or category name in ACL"
	firstOfPart    = "Allowing first-arg of a subcommand is not supported"
	noSuchPassword = "The password you are trying to remove from the user does not exist"
	badSum         = "The password hash must be exactly 64 characters and contain only lowercase hexadecimal characters"
	afterAllKeys   = "Adding a pattern after the * pattern (or the 'allkeys' flag) is not valid and does not have any effect. " +
		"Try 'resetkeys' to start with an empty list of patterns"
	afterAllChannels = "Adding a pattern after the * pattern (or the 'allchannels' flag) is not valid and does not have any effect. " +
		"Try 'resetchannels' to start with an empty list of channels"
	noSelectors = "Selectors are not supported: they are about keys, and a Sentinel has none"
)

// words are the rules that are whole words.
var words = map[string]func(*User, *Catalogue){
	"on":                    func(u *User, _ *Catalogue) { u.on = true },
	"off":                   func(u *User, _ *Catalogue) { u.on = false },
	"nopass":                func(u *User, _ *Catalogue) { u.noPass, u.passwords = true, nil },
	"resetpass":             func(u *User, _ *Catalogue) { u.noPass, u.passwords = false, nil },
	"skip-sanitize-payload": func(u *User, _ *Catalogue) { u.payload = "skip-sanitize-payload" },
	"sanitize-payload":      func(u *User, _ *Catalogue) { u.payload = "sanitize-payload" },
	"allkeys":               func(u *User, _ *Catalogue) { u.keys = patterns{all: true} },
	"~*":                    func(u *User, _ *Catalogue) { u.keys = patterns{all: true} },
	"resetkeys":             func(u *User, _ *Catalogue) { u.keys = patterns{} },
	"allchannels":           func(u *User, _ *Catalogue) { u.channels = patterns{all: true} },
	"&*":                    func(u *User, _ *Catalogue) { u.channels = patterns{all: true} },
	"resetchannels":         func(u *User, _ *Catalogue) { u.channels = patterns{} },
	"allcommands":           allowAll,
	"+@all":                 allowAll,
	"nocommands":            func(u *User, _ *Catalogue) { u.commands = noCommands() },
	"-@all":                 func(u *User, _ *Catalogue) { u.commands = noCommands() },
	"clearselectors":        func(*User, *Catalogue) {}, // there are none
	"reset": func(u *User, _ *Catalogue) {
		*u = *newUser(u.name)
		u.payload = "sanitize-payload"
	},
}

func allowAll(u *User, c *Catalogue) {
	u.commands = noCommands()
	u.commands.base = "+@all"
	for i := range c.commands {
		u.commands.set(&c.commands[i], true)
	}
}

// apply changes a user as the rules say, in their order.
func (c *Catalogue) apply(u *User, rules []string) error {
	for _, rule := range rules {
		if problem := c.applyOne(u, rule); problem != "" {
			return &RuleError{rule, problem}
		}
	}
	if len(u.Line()) > maxUser {
		return ErrTooLong
	}
	return nil
}

// applyOne says what is wrong with a rule; empty: nothing.
func (c *Catalogue) applyOne(u *User, rule string) string {
	if word := words[strings.ToLower(rule)]; word != nil {
		word(u, c)
		return ""
	}
	if rule == "" {
		return "" // says nothing
	}
	rest := rule[1:]
	switch rule[0] {
	case '>', '#', '<', '!':
		return u.password(rule[0], rest)
	case '~', '%':
		return u.addKeys(rule)
	case '&':
		return u.addChannels(rest)
	case '+', '-':
		return c.command(u, rule[:1], strings.ToLower(rest))
	case '(':
		return noSelectors
	}
	return syntaxError
}

// password adds one, or removes it, as a text or as its sum.
func (u *User) password(kind byte, text string) string {
	sum := sha256.Sum256([]byte(text))
	if kind == '#' || kind == '!' {
		if len(text) != hex.EncodedLen(len(sum)) || strings.Trim(text, "0123456789abcdef") != "" {
			return badSum
		}
		_, _ = hex.Decode(sum[:], []byte(text)) // it was checked
	}
	at := slices.Index(u.passwords, sum)
	switch {
	case kind == '>' || kind == '#':
		u.noPass = false
		if at < 0 {
			u.passwords = append(u.passwords, sum)
		}
	case at < 0:
		return noSuchPassword
	default:
		u.passwords = slices.Delete(u.passwords, at, at+1)
	}
	return ""
}

// PasswordRule adds a password, without holding it.
func PasswordRule(password string) string {
	sum := sha256.Sum256([]byte(password))
	return "#" + hex.EncodeToString(sum[:])
}

// addKeys reads ~pattern or, with what may be done with the keys, %RW~pattern.
func (u *User) addKeys(rule string) string {
	access, text, found := strings.Cut(rule, "~")
	p := pattern{text: text, read: access == "", write: access == ""}
	for i, letter := range strings.ToUpper(access) {
		switch {
		case i == 0: // the percent sign
		case letter == 'R' && !p.read:
			p.read = true
		case letter == 'W' && !p.write:
			p.write = true
		default:
			return syntaxError
		}
	}
	if u.keys.all && found {
		return afterAllKeys
	}
	if !found || !p.read && !p.write || strings.ContainsFunc(text, isSpace) {
		return syntaxError
	}
	u.keys.add(p)
	return ""
}

func (u *User) addChannels(text string) string {
	switch {
	case u.channels.all:
		return afterAllChannels
	case strings.ContainsFunc(text, isSpace):
		return syntaxError
	}
	u.channels.add(pattern{text: text})
	return ""
}

// isSpace says whether a name or pattern with the character could not be written to a line.
func isSpace(c rune) bool { return c == ' ' || c >= '\t' && c <= '\r' || c == 0 }

// command allows or forbids a command, a part of one, or a category. What has no parts may be allowed with a first argument only.
func (c *Catalogue) command(u *User, sign, name string) string {
	allow := sign == "+"
	if category, ok := strings.CutPrefix(name, "@"); ok {
		if !slices.Contains(Categories, category) {
			return unknownName
		}
		for i := range c.commands {
			u.commands.setCategory(&c.commands[i], category, allow)
		}
		u.commands.note(sign, name)
		return ""
	}
	if command := c.byName[name]; command != nil {
		u.commands.set(command, allow)
		u.commands.note(sign, name)
		return ""
	}
	at := strings.LastIndex(name, "|")
	if at < 0 || !allow {
		return unknownName
	}
	container, first := name[:at], name[at+1:]
	switch command := c.byName[container]; {
	case command == nil:
		return unknownName
	case strings.Contains(container, "|"):
		return firstOfPart
	case first == "" || strings.ContainsFunc(first, isSpace):
		return syntaxError
	case len(command.Parts) > 0:
		return unknownName
	}
	if !slices.Contains(u.commands.firsts[container], first) {
		u.commands.firsts[container] = append(u.commands.firsts[container], first)
	}
	u.commands.note(sign, name)
	return ""
}

// setCategory allows or forbids a command if it is of the category, else those of its parts that are.
func (c *commands) setCategory(command *Command, category string, allow bool) {
	if slices.Contains(command.Categories, category) {
		c.set(command, allow)
		return
	}
	for i := range command.Parts {
		c.setCategory(&command.Parts[i], category, allow)
	}
}
