package acl

import (
	"slices"
	"strings"

	"picket/sentinel/resp/glob"
)

// Reason is why something is denied.
type Reason string

// Reasons, as the log names them.
const (
	ForCommand Reason = "command"
	ForChannel Reason = "channel"
	ForAuth    Reason = "auth"
)

// Denial says what a user may not do.
type Denial struct {
	Reason Reason
	Object string // the command, or the channel
}

// Request is what a user wants to do.
type Request struct {
	Command  string   // its full name
	Args     []string // what follows its name
	Channels []string // those that it names
	Patterns bool     // they are patterns
}

// Check says what is denied; nil: nothing.
func (c *Catalogue) Check(u *User, r Request) *Denial {
	command := c.byName[r.Command]
	if command == nil || !command.Open && !u.commands.allowed[r.Command] && !u.commands.allowedWith(r) {
		return &Denial{ForCommand, r.Command}
	}
	for _, channel := range r.Channels {
		if !u.mayHear(channel, r.Patterns) {
			return &Denial{ForChannel, channel}
		}
	}
	return nil
}

func (c commands) allowedWith(r Request) bool {
	return len(r.Args) > 0 && slices.ContainsFunc(c.firsts[r.Command], func(first string) bool { return strings.EqualFold(first, r.Args[0]) })
}

// mayHear says whether a user may use a channel. A pattern must be one of those of the user to the letter.
func (u *User) mayHear(channel string, literally bool) bool {
	return u.channels.all || slices.ContainsFunc(u.channels.some, func(p pattern) bool {
		return p.text == channel || !literally && glob.Match(p.text, channel)
	})
}

// Hears says whether a user may subscribe to all of the channels and patterns.
func (u *User) Hears(channels, patterns []string) bool {
	return !slices.ContainsFunc(channels, func(name string) bool { return !u.mayHear(name, false) }) &&
		!slices.ContainsFunc(patterns, func(name string) bool { return !u.mayHear(name, true) })
}
