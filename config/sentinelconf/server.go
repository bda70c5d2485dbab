package sentinelconf

import (
	"cmp"
	"fmt"
	"net/netip"
	"slices"
	"strings"

	"picket/config"
)

// listening is where clients are listened for.
type listening struct {
	hosts     []string // as bind has them; none: all
	port      int      // 0: none
	tlsPort   int      // 0: none
	protected bool
	door      door
	// Those that set them; the zero value: none did.
	bindAt, portAt, tlsAt, protectedAt directive
}

const (
	defaultPort = 26379 // Sentinel's
	httpAbove   = 2     // so much is the HTTP port above that of the clients, as among the defaults
)

func (b *builder) port(d directive) {
	if n, ok := b.portNumber(d, d.args()[0]); ok {
		b.listen.port, b.listen.portAt = n, d
	}
}

func (b *builder) tlsPort(d directive) {
	if n, ok := b.portNumber(d, d.args()[0]); ok {
		b.listen.tlsPort, b.listen.tlsAt = n, d
	}
}

func (b *builder) bind(d directive) {
	hosts := []string{}
	for _, word := range d.args() {
		name, optional := strings.CutPrefix(word, "-")
		switch name {
		case "*":
			name = "0.0.0.0"
		case "::*":
			name = "::"
		case "":
			b.refuse(d, word, "names no address", "write * for all")
			return
		}
		if optional {
			name = "-" + name
		}
		hosts = append(hosts, name)
	}
	b.listen.hosts, b.listen.bindAt = hosts, d
}

func (b *builder) protectedMode(d directive) {
	if yes, ok := b.yes(d); ok {
		b.listen.protected, b.listen.protectedAt = yes, d
	}
}

// finishListening knows all directives of the port.
func (b *builder) finishListening() {
	l := &b.listen
	if l.portAt.words == nil {
		l.port = defaultPort
	}
	if l.port == 0 && l.tlsPort == 0 {
		b.refuse(l.portAt, "0", "leaves no port to clients", "give a port, or tls-port")
		return
	}
	hosts := l.hosts
	if len(hosts) == 0 {
		hosts = []string{"0.0.0.0"}
	}
	if l.protected && l.door.open() {
		if hosts = loopback(hosts); len(hosts) == 0 {
			b.refuse(l.protectedAt, "yes", "lets only this host's clients in while there is no password, and bind names no address for them",
				"write requirepass, or protected-mode no")
			return
		}
		b.warn(l.protectedAt, "clients of other hosts can't connect while there is no password: write requirepass, or protected-mode no")
	}
	b.listenOn(hosts)
}

func (b *builder) listenOn(hosts []string) {
	l := &b.listen
	first := max(0, slices.IndexFunc(hosts, func(h string) bool { return h[0] != '-' }))
	at := l.bindAt
	if at.words == nil || l.portAt.words != nil {
		at = l.portAt
	}
	main := strings.TrimPrefix(hosts[first], "-")
	switch {
	case l.port == 0:
		b.set(l.tlsAt, "listen.sentinel", "")
	case l.portAt.words != nil || len(l.hosts) > 0 || l.protected:
		b.set(at, "listen.sentinel", string(config.NewAddr(main, l.port)))
	}
	if l.tlsPort != 0 {
		b.set(l.tlsAt, "listen.sentinel-tls", string(config.NewAddr(main, l.tlsPort)))
	}
	if others := slices.Delete(slices.Clone(hosts), first, first+1); len(others) > 0 {
		also := make([]any, len(others))
		for i, h := range others {
			also[i] = h
		}
		b.set(l.bindAt, "listen.also", also)
	}
	for _, h := range hosts {
		b.conf.Layer.Hosts = append(b.conf.Layer.Hosts, strings.TrimPrefix(h, "-"))
	}
	put(b.conf.Layer.Under, "listen.http", string(config.NewAddr("127.0.0.1", (cmp.Or(l.port, l.tlsPort)+httpAbove)%(1<<16))))
	if l.port == 0 {
		put(b.conf.Layer.Under, "announce.sentinel-port", l.tlsPort)
	}
}

// loopback gives those of the hosts that only this host reaches; all addresses have one.
func loopback(hosts []string) []string {
	var found []string
	for _, h := range hosts {
		ip, err := netip.ParseAddr(strings.TrimPrefix(h, "-"))
		switch {
		case err == nil && ip.IsLoopback() || h == "localhost":
			found = append(found, h)
		case err == nil && ip.IsUnspecified() && !slices.Contains(found, "127.0.0.1"):
			found = append(found, "127.0.0.1")
		}
	}
	return found
}

func (b *builder) requirepass(d directive) {
	b.set(d, "sentinel.password", d.args()[0])
	b.listen.door.password = d.args()[0] != ""
}

// user keeps an ACL user.
func (b *builder) user(d directive) {
	words := d.args()
	if slices.ContainsFunc(b.users, func(line string) bool { return strings.HasPrefix(line, words[0]+" ") || line == words[0] }) {
		b.refuse(d, "", "is the second line for the user "+words[0], "put all rules into one")
		return
	}
	if words[0] == defaultName {
		b.listen.door.user = words
	}
	b.users = append(b.users, strings.Join(words, " "))
	b.conf.Layer.Places[fmt.Sprintf("sentinel.users[%d]", len(b.users)-1)] = d.place
	b.set(d, "sentinel.users", b.userList())
}

// userList has the users in the form that the configuration takes them.
func (b *builder) userList() []any {
	list := make([]any, len(b.users))
	for i, line := range b.users {
		if name, rules, _ := strings.Cut(line, " "); b.channels {
			line = strings.TrimSpace(name + " allchannels " + rules)
		}
		list[i] = line
	}
	return list
}

// pubsubDefault is what new users may do with channels.
func (b *builder) pubsubDefault(d directive) {
	if word, ok := b.word(d, "allchannels", "resetchannels"); ok {
		b.channels = word == "allchannels"
	}
}

func (b *builder) aclfile(d directive) {
	if path := d.args()[0]; path != "" {
		b.listen.door.file = b.path(path)
		b.set(d, "sentinel.acl-file", b.listen.door.file)
	}
}

// path is a path from the working directory.
func (b *builder) path(path string) string { return (&reader{dir: b.dir}).absolute(path) }
