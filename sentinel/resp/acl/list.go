package acl

import (
	"maps"
	"slices"
	"strings"
)

const (
	maxUsers = 256 // that there are
	maxName  = 256 // bytes of a name
)

// Refusal is why users can't be as they are wanted, in Redis's words where it has any.
type Refusal string

func (r Refusal) Error() string { return string(r) }

// Refusals.
const (
	ErrName     Refusal = "Usernames can't contain spaces or null characters"
	ErrDefault  Refusal = "The 'default' user cannot be removed"
	ErrLongName Refusal = "Usernames can't be longer than 256 bytes"
	ErrTooMany  Refusal = "There may be up to 256 users: remove one with ACL DELUSER"
	ErrTooLong  Refusal = "The rules of a user may have up to 8192 bytes: give it fewer patterns or passwords"
)

// List is all users. There is always a default one.
type List struct {
	*Catalogue
	users map[string]*User
}

// NewList is one of only the default user, who may do anything, and needs no password.
func NewList(c *Catalogue) *List {
	l := &List{c, map[string]*User{}}
	if err := l.Replace(Default, "on", "nopass", "~*", "&*", "+@all"); err != nil {
		panic(err) // these rules are always valid
	}
	return l
}

// Set changes a user, or makes one; where a rule is wrong, nothing is different.
func (l *List) Set(name string, rules ...string) error {
	if u := l.users[name]; u != nil {
		return l.put(u.copy(), rules)
	}
	return l.put(newUser(name), rules)
}

// Replace makes a user, as if there had been none of that name.
func (l *List) Replace(name string, rules ...string) error { return l.put(newUser(name), rules) }

// put applies rules to a user that nobody else has, and takes it in.
func (l *List) put(u *User, rules []string) error {
	switch name := u.name; {
	case strings.ContainsFunc(name, isSpace):
		return ErrName
	case len(name) > maxName:
		return ErrLongName
	case l.users[name] == nil && len(l.users) >= maxUsers:
		return ErrTooMany
	}
	if err := l.apply(u, rules); err != nil {
		return err
	}
	l.users[u.name] = u
	return nil
}

// Delete removes users, and says which there were. The default user can't be removed; then none is.
func (l *List) Delete(names []string) ([]string, error) {
	if slices.Contains(names, Default) {
		return nil, ErrDefault
	}
	var deleted []string
	for _, name := range names {
		if l.users[name] != nil {
			delete(l.users, name)
			deleted = append(deleted, name)
		}
	}
	return deleted, nil
}

// User finds one; nil: there is none of that name.
func (l *List) User(name string) *User { return l.users[name] }

// Names lists the users in order.
func (l *List) Names() []string { return slices.Sorted(maps.Keys(l.users)) }

// Lines describe the users as a file does.
func (l *List) Lines() []string {
	var lines []string
	for _, name := range l.Names() {
		lines = append(lines, l.users[name].Line())
	}
	return lines
}

// Authenticate says whether it is the user's password. Somebody who is not known takes no less time.
func (l *List) Authenticate(name, password string) bool {
	u := l.users[name]
	if u == nil {
		nobody.accepts(password)
		return false
	}
	return u.accepts(password)
}

var nobody = &User{passwords: make([][32]byte, 1)}
