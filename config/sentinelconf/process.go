package sentinelconf

import (
	"fmt"
	"maps"
	"path/filepath"
	"strings"

	"picket/config"
)

// workingDir was followed while reading. What an agent must remember does not belong where systems clean up, although the file that comes with
// Sentinel says /tmp.
func (b *builder) workingDir(d directive) {
	b.conf.Dir = b.dir
	if b.imported {
		b.notice(d, "is where Sentinel kept its own files: what the agent must remember is in agent.data-dir", "")
		return
	}
	if b.dir == "/tmp" {
		b.warn(d, b.dir+" is emptied when the system starts, so what the agent must remember is in data-dir, "+config.Default().Agent.DataDir)
		return
	}
	put(b.conf.Layer.Under, "agent.data-dir", filepath.Join(b.dir, "picket"))
}

// unlike notes what a file of Picket's can't say.
func (b *builder) unlike(d directive, text, remedy string) {
	if b.imported {
		b.notice(d, "has no counterpart: "+text, remedy)
	}
}

func (b *builder) logfile(d directive) {
	b.conf.LogFile = ""
	if path := d.args()[0]; path != "" {
		b.conf.LogFile = b.path(path)
		b.unlike(d, "the agent logs to its standard error, which systemd and containers keep", "journalctl -u picket shows it")
	}
	b.conf.Standard = b.conf.LogFile == ""
}

func (b *builder) pidfile(d directive) {
	b.conf.PIDFile = ""
	if path := d.args()[0]; path != "" {
		b.conf.PIDFile = b.path(path)
		b.unlike(d, "the agent writes no such file", "systemctl show -p MainPID picket tells the id")
	}
}

// levels are Sentinel's, in Picket's words.
var levels = map[string]string{"debug": "debug", "verbose": "debug", "notice": "info", "warning": "warn", "nothing": "error"}

func (b *builder) loglevel(d directive) {
	if word, ok := b.word(d, "debug", "verbose", "notice", "warning", "nothing"); ok {
		b.set(d, "log.level", levels[word])
	}
}

func (b *builder) syslogEnabled(d directive) {
	if yes, ok := b.yes(d); ok {
		b.conf.Syslog.Enabled = yes
		if yes {
			b.unlike(d, "the agent logs to its standard error", "systemd's journal hands that on to a syslog daemon")
		}
	}
}

func (b *builder) syslogIdent(d directive) { b.conf.Syslog.Ident = d.args()[0] }

func (b *builder) syslogFacility(d directive) {
	if word, ok := b.word(d, "user", "local0", "local1", "local2", "local3", "local4", "local5", "local6", "local7"); ok {
		b.conf.Syslog.Facility = word
	}
}

// supervised needs nothing: systemd is told whenever it wants to be.
func (b *builder) supervised(d directive) {
	if word, ok := b.word(d, "no", "systemd", "auto", "upstart"); ok && word == "upstart" {
		b.warn(d, "has no effect: upstart is not told; `expect stop` would wait for ever, so take it out of the job")
	}
}

// daemonize would have to leave the process that was started: those who watch over that would lose it.
func (b *builder) daemonize(d directive) {
	if yes, ok := b.yes(d); ok && yes {
		b.warn(d, "has no effect: Picket stays in the foreground, where systemd, a container or a shell's & keeps it")
	}
}

// transport is TLS as the server uses it, for clients and for what it connects to.
type transport struct {
	files       map[string]directive // by name
	replication bool
	// Those that set them; the zero value: none did.
	authClients, replicationAt directive
}

func (b *builder) tlsFile(d directive) {
	if b.tls.files == nil {
		b.tls.files = map[string]directive{}
	}
	b.tls.files[d.name()] = d
}

func (b *builder) tlsAuthClients(d directive) {
	if _, ok := b.word(d, "yes", "no", "optional"); ok {
		b.tls.authClients = d
	}
}

func (b *builder) tlsReplication(d directive) {
	if yes, ok := b.yes(d); ok {
		b.tls.replication, b.tls.replicationAt = yes, d
	}
}

// file is one of TLS; empty: none was named.
func (b *builder) file(name string) string {
	d := b.tls.files[name]
	if d.words == nil || d.args()[0] == "" {
		return ""
	}
	return b.path(d.args()[0])
}

// finishTLS knows all directives of TLS.
func (b *builder) finishTLS() {
	if b.listen.tlsPort != 0 {
		for key, name := range map[string]string{"cert": "tls-cert-file", "key": "tls-key-file", "ca": "tls-ca-cert-file"} {
			if path := b.file(name); path != "" {
				b.set(b.tls.files[name], "sentinel.tls."+key, path)
			}
		}
		if d := b.tls.authClients; d.words != nil {
			b.set(d, "sentinel.tls.auth-clients", strings.ToLower(d.args()[0]))
		}
	}
	if b.tls.replication {
		b.connectWithTLS()
	}
}

// connectWithTLS is how the servers are reached, and the agents reach each other as Sentinels did.
func (b *builder) connectWithTLS() {
	files := map[string]string{"ca": "tls-ca-cert-file", "cert": "tls-cert-file", "key": "tls-key-file"}
	if b.file("tls-client-cert-file") != "" {
		files["cert"], files["key"] = "tls-client-cert-file", "tls-client-key-file"
	}
	identity := map[string]any{"enabled": true}
	for key, name := range files {
		if path := b.file(name); path != "" {
			identity[key] = path
		}
	}
	for i, m := range b.masters {
		m.tree["tls"] = maps.Clone(identity)
		b.conf.Layer.Places[fmt.Sprintf("masters[%d].tls", i)] = b.tls.replicationAt.place
		for key, name := range files {
			if d := b.tls.files[name]; d.words != nil {
				b.conf.Layer.Places[fmt.Sprintf("masters[%d].tls.%s", i, key)] = d.place
			}
		}
	}
	if len(identity) == 1+len(files) {
		b.conf.Layer.Under["peer-tls"] = identity
	}
}
