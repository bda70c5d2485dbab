package config

import (
	"fmt"
	"os"
	"strings"
)

// MaxACLFile bounds the file of users, in bytes. All users that there may be need less.
const MaxACLFile = 4 << 20

// checkDoor checks who may use the Sentinel port. What users may do is checked when the port is opened: this package does not know
// the commands.
func (c *Config) checkDoor(r *report) {
	d := &c.Sentinel
	c.secret(r, "sentinel.password", &d.Password, d.PasswordFile)
	c.checkUsers(r)
	if d.ACLFile != "" {
		if len(d.Users) > 0 {
			r.add("sentinel.acl-file", d.ACLFile, "is given although sentinel.users is, too", "keep one of them: all users are in the file, if there is one")
		}
		c.checkACLFile(r)
	}
	c.checkDoorTLS(r)
}

func (c *Config) checkUsers(r *report) {
	known := unique[string]{}
	for i, line := range c.Sentinel.Users {
		key := element("sentinel.users", i)
		words := strings.Fields(string(line))
		if len(words) == 0 || strings.ContainsAny(string(line), "\r\n\x00") {
			r.add(key, nil, "is not a name and rules on one line", "write it like alice on >secret +@all &*")
			continue
		}
		known.check(r, key, words[0])
	}
	c.warnOfDefault(known["default"])
}

// warnOfDefault tells when the user that a client has who gives no name is hardly what was meant. The key is that of its line; empty: there is none.
func (c *Config) warnOfDefault(key string) {
	password := c.Sentinel.Password != ""
	switch {
	case key != "" && password:
		c.warnings = append(c.warnings, fmt.Sprintf("sentinel.password: %s says what the user default needs; take the password away", key))
	case key == "" && !password && len(c.Sentinel.Users) > 0:
		c.warnings = append(c.warnings, "sentinel.users: who gives no name and no password may do everything; add sentinel.password, or the user \"default off\"")
	}
}

func (c *Config) checkACLFile(r *report) {
	const key = "sentinel.acl-file"
	path := c.Sentinel.ACLFile
	if _, err := ReadFile(path, MaxACLFile); err != nil {
		r.unread(key, path, err, "make an empty one to begin with: install -m 600 /dev/null FILE")
		return
	}
	if info, err := os.Stat(path); err == nil && info.Mode()&0o004 != 0 {
		c.warnings = append(c.warnings, fmt.Sprintf("%s: everybody on this host may read %s; chmod o= %s", key, path, path))
	}
}

func (c *Config) checkDoorTLS(r *report) {
	const key = "sentinel.tls"
	t := c.Sentinel.TLS
	r.oneOf(key+".auth-clients", t.AuthClients, AuthClientsYes, AuthClientsNo, AuthClientsOptional)
	files := TLS{Enabled: true, CA: t.CA, Cert: t.Cert, Key: t.Key}
	if c.Listen.SentinelTLS == "" {
		if files != (TLS{Enabled: true}) {
			r.add("listen.sentinel-tls", nil, "is missing, although sentinel.tls is configured", "say where to listen with TLS, or take sentinel.tls away")
		}
		return
	}
	files.check(r, key)
	if t.Cert == "" && t.Key == "" {
		r.add(key+".cert", nil, "is missing, although listen.sentinel-tls is given", "name the file of this agent's certificate, and of its key")
	}
	if t.CA == "" && t.AuthClients != AuthClientsNo {
		r.add(key+".ca", nil, "is missing", "name the certificates that sign the clients', or set auth-clients: no")
	}
}
