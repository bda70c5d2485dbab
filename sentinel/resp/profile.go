package resp

import (
	"fmt"
	"strings"
	"time"

	"picket/sentinel/resp/acl"
)

// profile is what others may ask of a client.
type profile struct {
	name      string
	user      string
	active    time.Time // its last command
	command   string    // that
	arguments int       // its bytes
	noEvict   bool
	tracking  bool
	redirect  int64
}

// update changes what others see of a client.
func (c *client) update(change func(*profile)) {
	c.mu.Lock()
	defer c.mu.Unlock()
	change(&c.shown)
}

func (c *client) profile() profile {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.shown
}

func (c *client) user() string { return c.profile().user }

// began notes that a command begins, and says whose it is.
func (c *client) began(d *command, words []string) (user string) {
	c.update(func(p *profile) {
		p.active, p.command, p.arguments, user = time.Now(), d.full, 0, p.user
		for _, word := range words {
			p.arguments += len(word)
		}
	})
	return user
}

// line describes a client as CLIENT LIST does. What only Redis has is 0.
func (c *client) line(now time.Time) string {
	p, s := c.profile(), c.server.hub.look(c)
	redirect := int64(-1)
	if p.tracking {
		redirect = p.redirect
	}
	version := 2
	if s.resp3 {
		version = 3
	}
	command := p.command
	if command == "" {
		command = "NULL"
	}
	waiting := c.out.size()
	return fmt.Sprintf("id=%d addr=%s laddr=%s fd=%d name=%s age=%d idle=%d flags=%s db=0 sub=%d psub=%d ssub=0 multi=-1 qbuf=0 qbuf-free=%d "+
		"argv-mem=%d multi-mem=0 rbs=0 rbp=0 obl=0 oll=0 omem=%d tot-mem=%d events=r cmd=%s user=%s redir=%d resp=%d",
		c.id, c.conn.RemoteAddr(), c.conn.LocalAddr(), c.fd, p.name, seconds(now.Sub(c.since)), seconds(now.Sub(p.active)), p.flags(s),
		s.channels, s.patterns, maxLine, p.arguments, waiting, maxLine+p.arguments+waiting, command, p.user, redirect, version)
}

func seconds(d time.Duration) int { return max(0, int(d.Seconds())) }

// flags are in Redis's order.
func (p profile) flags(s subscriptions) string {
	var b strings.Builder
	for _, f := range []struct {
		letter byte
		raised bool
	}{{'P', s.count() > 0}, {'t', p.tracking}, {'e', p.noEvict}} {
		if f.raised {
			b.WriteByte(f.letter)
		}
	}
	if b.Len() == 0 {
		return "N"
	}
	return b.String()
}

// kinds are the types of clients. Masters and replicas never connect.
var kinds = []string{"normal", "master", "replica", "slave", "pubsub"}

func (c *client) kind() string {
	if s := c.server.hub.look(c); s.count() > 0 {
		return "pubsub"
	}
	return "normal"
}

// enterAs makes a client a user's who has given the password.
func (c *client) enterAs(user string) {
	c.update(func(p *profile) { p.user = user })
	c.enter(true)
}

// resetProfile makes a client as it was when it came.
func (c *client) resetProfile() {
	c.update(func(p *profile) {
		*p = profile{user: acl.Default, active: p.active, command: p.command, arguments: p.arguments}
	})
	c.tracking, c.muting = tracking{}, answered
	c.enter(c.server.accounts.open())
}
