package resp

import (
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"slices"
	"strings"
	"sync"

	"picket/config"
	"picket/consensus/vfs"
	"picket/sentinel/resp/acl"
)

// accounts are the users, and what was denied to them. They are this agent's own: who may do what at its port is no matter of the group.
type accounts struct {
	catalogue *acl.Catalogue
	file      string // of users; empty: there is none

	disk    sync.Mutex  // held while the file is read or written; taken before mu
	initial []string    // rules for the default user, where nothing else says what that one may do; guarded by disk
	door    config.Door // of which they were made; guarded by disk

	mu   sync.Mutex // never held over the disk: every command of every client takes it
	list *acl.List
	log  acl.Log
}

// newAccounts makes those of the configuration. The error is a *config.Error.
func newAccounts(door config.Door, c *acl.Catalogue) (*accounts, error) {
	a := &accounts{catalogue: c, file: door.ACLFile, door: door}
	if door.Password != "" {
		a.initial = []string{"resetpass", acl.PasswordRule(string(door.Password))}
	}
	problems := a.configure(door.Users)
	if a.file != "" && len(problems) == 0 {
		if err := a.load(); err != nil {
			problems = append(problems, problem("sentinel.acl-file", err))
		}
	}
	if len(problems) > 0 {
		return nil, &config.Error{Problems: problems}
	}
	return a, nil
}

// reload takes the users of a configuration in the place of those that there are, if it is another one; the file of users stays the same.
func (a *accounts) reload(door config.Door) (changed bool, err error) {
	a.disk.Lock()
	defer a.disk.Unlock()
	if door.Password == a.door.Password && slices.Equal(door.Users, a.door.Users) {
		return false, nil
	}
	door.ACLFile = a.file
	next, err := newAccounts(door, a.catalogue)
	if err != nil {
		return false, err
	}
	a.initial, a.door = next.initial, door
	a.mu.Lock()
	defer a.mu.Unlock()
	a.list = next.list
	return true, nil
}

// CheckUsers says what is wrong with the rules of a configuration's users. The error is a *config.Error.
func CheckUsers(door config.Door) error {
	_, err := newAccounts(door, newTable().catalogue())
	return err
}

func problem(key string, err error) config.Problem {
	p := config.Problem{Key: key, Message: err.Error(), Remedy: "`ACL HELP` and https://redis.io/docs/latest/operate/oss_and_stack/management/security/acl describe rules"}
	var rule *acl.RuleError
	if errors.As(err, &rule) && strings.Trim(rule.Rule[:min(1, len(rule.Rule))], "><#!") != "" { // those hold passwords
		p.Value = fmt.Sprintf("%q", rule.Rule)
	}
	return p
}

// configure makes the users of the configuration.
func (a *accounts) configure(lines []config.Secret) []config.Problem {
	a.list = a.fresh()
	var problems []config.Problem
	for i, line := range lines {
		name, rules := acl.Words(string(line))
		if err := a.list.Replace(name, rules...); err != nil {
			problems = append(problems, problem(fmt.Sprintf("sentinel.users[%d]", i), err))
		}
	}
	return problems
}

// fresh is a list of only the default user.
func (a *accounts) fresh() *acl.List {
	l := acl.NewList(a.catalogue)
	if err := l.Set(acl.Default, a.initial...); err != nil {
		panic(err) // these rules are always valid
	}
	return l
}

// load takes the users of the file in the place of those that there are.
func (a *accounts) load() error {
	a.disk.Lock()
	defer a.disk.Unlock()
	text, err := a.read()
	if at := (*fs.PathError)(nil); errors.As(err, &at) {
		err = at.Err
	}
	if err != nil {
		return fmt.Errorf("Error loading ACLs, opening file '%s': %w", a.file, err) // as Redis writes it
	}
	list := a.fresh()
	if err := list.Parse(a.file, text); err != nil {
		return err
	}
	a.mu.Lock()
	defer a.mu.Unlock()
	a.list = list
	return nil
}

// read gives the text of the file, which may be one that cannot be written.
func (a *accounts) read() (string, error) {
	f, err := os.Open(a.file)
	if err != nil {
		return "", err
	}
	defer func() { _ = f.Close() }() // it was only read
	text, err := io.ReadAll(io.LimitReader(f, config.MaxACLFile+1))
	if err == nil && len(text) > config.MaxACLFile {
		err = fmt.Errorf("it is larger than %d MiB", config.MaxACLFile>>20)
	}
	return string(text), err
}

// save has the file hold the users that there are. Nobody else may read it.
func (a *accounts) save() error {
	a.disk.Lock()
	defer a.disk.Unlock()
	return vfs.WriteAtomic(vfs.OS{}, "ACL", a.file, []byte(a.text()))
}

// text is what the file is to hold.
func (a *accounts) text() string {
	a.mu.Lock()
	defer a.mu.Unlock()
	return a.list.Text()
}

// open says whether a connection may do without a password.
func (a *accounts) open() bool { return a.user(acl.Default).Open() }

// user finds one; nil: there is none of that name.
func (a *accounts) user(name string) *acl.User {
	a.mu.Lock()
	defer a.mu.Unlock()
	return a.list.User(name)
}

func (a *accounts) authenticate(name, password string) bool {
	a.mu.Lock()
	defer a.mu.Unlock()
	return a.list.Authenticate(name, password)
}

// check says what is denied to a user; nil: nothing.
func (a *accounts) check(name string, r acl.Request) *acl.Denial {
	u := a.user(name)
	if u == nil { // removed, and its connections are being closed
		return &acl.Denial{Reason: acl.ForCommand, Object: r.Command}
	}
	return a.catalogue.Check(u, r)
}

func (a *accounts) deny(e acl.Entry) {
	a.mu.Lock()
	defer a.mu.Unlock()
	a.log.Add(e)
}

func (a *accounts) set(name string, rules []string) error {
	a.mu.Lock()
	defer a.mu.Unlock()
	return a.list.Set(name, rules...)
}

func (a *accounts) remove(names []string) ([]string, error) {
	a.mu.Lock()
	defer a.mu.Unlock()
	return a.list.Delete(names)
}

func (a *accounts) names() []string {
	a.mu.Lock()
	defer a.mu.Unlock()
	return a.list.Names()
}

func (a *accounts) lines() []string {
	a.mu.Lock()
	defer a.mu.Unlock()
	return a.list.Lines()
}

func (a *accounts) denied(count int) []acl.Entry {
	a.mu.Lock()
	defer a.mu.Unlock()
	return a.log.Last(count)
}

func (a *accounts) forgetDenied() {
	a.mu.Lock()
	defer a.mu.Unlock()
	a.log.Reset()
}
