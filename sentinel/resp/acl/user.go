package acl

import (
	"crypto/sha256"
	"crypto/subtle"
	"encoding/hex"
	"maps"
	"slices"
	"strings"
)

// Default is the name of the user that a connection has which gave no name. It can't be removed.
const Default = "default"

// maxUser bounds a user: the bytes of its line.
const maxUser = 8 << 10

// User is immutable.
type User struct {
	name      string
	on        bool
	noPass    bool   // any password will do, and none is needed
	payload   string // what was said about sanitising payloads: a Sentinel takes none
	passwords [][sha256.Size]byte
	keys      patterns
	channels  patterns
	commands  commands
}

// patterns are those of keys or channels.
type patterns struct {
	all  bool
	some []pattern
}

// pattern is one for which a rule allows what.
type pattern struct {
	text        string
	read, write bool // of keys
}

func (p *patterns) add(n pattern) {
	if i := slices.IndexFunc(p.some, func(o pattern) bool { return o.text == n.text }); i >= 0 {
		p.some[i].read, p.some[i].write = p.some[i].read || n.read, p.some[i].write || n.write
		return
	}
	p.some = append(p.some, n)
}

// newUser has no right at all.
func newUser(name string) *User { return &User{name: name, commands: noCommands()} }

// copy is one that may be changed.
func (u *User) copy() *User {
	n := *u
	n.passwords = slices.Clone(u.passwords)
	n.keys.some, n.channels.some = slices.Clone(u.keys.some), slices.Clone(u.channels.some)
	n.commands = u.commands.copy()
	return &n
}

// Name of the user.
func (u *User) Name() string { return u.name }

// Open says whether a connection is this user's without giving a password.
func (u *User) Open() bool { return u.on && u.noPass }

// NeedsNoPassword says that any password will do.
func (u *User) NeedsNoPassword() bool { return u.noPass }

// accepts compares a password with all of the user's, whichever is the right one.
func (u *User) accepts(password string) bool {
	sum, same := sha256.Sum256([]byte(password)), 0
	for i := range u.passwords {
		same |= subtle.ConstantTimeCompare(sum[:], u.passwords[i][:])
	}
	return u.on && (u.noPass || same == 1)
}

// Flags are those that are set.
func (u *User) Flags() []string {
	flags := []string{"off"}
	if u.on {
		flags[0] = "on"
	}
	if u.noPass {
		flags = append(flags, "nopass")
	}
	if u.payload != "" {
		flags = append(flags, u.payload)
	}
	return flags
}

// Passwords are their sums, in hex.
func (u *User) Passwords() []string {
	sums := []string{}
	for i := range u.passwords {
		sums = append(sums, hex.EncodeToString(u.passwords[i][:]))
	}
	return sums
}

// Commands are the rules for them.
func (u *User) Commands() string { return u.commands.String() }

// Keys are the rules for them.
func (u *User) Keys() string {
	if u.keys.all {
		return "~*"
	}
	var rules []string
	for _, p := range u.keys.some {
		switch {
		case p.read && p.write:
			rules = append(rules, "~"+p.text)
		case p.read:
			rules = append(rules, "%R~"+p.text)
		default:
			rules = append(rules, "%W~"+p.text)
		}
	}
	return strings.Join(rules, " ")
}

// Channels are the rules for them.
func (u *User) Channels() string {
	if u.channels.all {
		return "&*"
	}
	var rules []string
	for _, p := range u.channels.some {
		rules = append(rules, "&"+p.text)
	}
	return strings.Join(rules, " ")
}

// Line describes the user as a configuration file does.
func (u *User) Line() string {
	words := append([]string{"user", u.name}, u.Flags()...)
	for _, sum := range u.Passwords() {
		words = append(words, "#"+sum)
	}
	if keys := u.Keys(); keys != "" {
		words = append(words, keys)
	}
	if !u.channels.all {
		words = append(words, "resetchannels")
	}
	if channels := u.Channels(); channels != "" {
		words = append(words, channels)
	}
	return strings.Join(append(words, u.Commands()), " ")
}

// commands are those that a user may use.
type commands struct {
	allowed map[string]bool     // by name
	firsts  map[string][]string // of some that are not allowed, the first arguments with which they are
	base    string              // +@all or -@all
	rules   []string            // what was said after that, as far as it counts
}

func noCommands() commands {
	return commands{allowed: map[string]bool{}, firsts: map[string][]string{}, base: "-@all"}
}

func (c commands) copy() commands {
	c.allowed, c.rules = maps.Clone(c.allowed), slices.Clone(c.rules)
	firsts := map[string][]string{}
	for name, args := range c.firsts {
		firsts[name] = slices.Clone(args)
	}
	c.firsts = firsts
	return c
}

func (c commands) String() string { return strings.Join(append([]string{c.base}, c.rules...), " ") }

// set allows or forbids a command, with all its parts.
func (c *commands) set(command *Command, allow bool) {
	c.allowed[command.Name] = allow
	delete(c.firsts, command.Name)
	for i := range command.Parts {
		c.set(&command.Parts[i], allow)
	}
}

// note keeps a rule in the place of those that it makes needless.
func (c *commands) note(sign, name string) {
	c.rules = slices.DeleteFunc(c.rules, func(r string) bool { return r[1:] == name || strings.HasPrefix(r[1:], name+"|") })
	c.rules = append(c.rules, sign+name)
}
