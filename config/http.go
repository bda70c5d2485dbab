package config

import (
	"fmt"
)

// Bounds of a bearer token, in characters: a shorter one can be guessed, and a longer one is no token.
const (
	MinToken = 16
	MaxToken = 1024
)

// maxTokens bounds how many are compared for each request.
const maxTokens = 100

// checkHTTP checks who may use the HTTP port.
func (c *Config) checkHTTP(r *report) {
	h := &c.HTTP
	r.oneOf("http.client-role", h.ClientRole, RoleRead, RoleOperate, RoleAdmin)
	r.oneOf("http.anonymous", h.Anonymous, AnonymousLocal, AnonymousRead, AnonymousNone)
	c.checkHTTPTLS(r)
	if len(h.Tokens) > maxTokens {
		r.add("http.tokens", len(h.Tokens), fmt.Sprintf("are more than %d", maxTokens), "give one to each team or program, not to each person")
	}
	known, secrets := unique[string]{}, map[Secret]string{}
	for i := range h.Tokens {
		t, key := &h.Tokens[i], element("http.tokens", i)
		r.name(key+".name", t.Name)
		known.check(r, key+".name", t.Name)
		r.oneOf(key+".role", t.Role, RoleRead, RoleOperate, RoleAdmin)
		c.secret(r, key+".token", &t.Token, t.TokenFile)
		if !r.sound(key+".token") || !r.sound(key+".token-file") {
			continue
		}
		if err := CheckToken(t.Token); err != nil {
			r.add(key+".token", nil, err.Error(), "make one: openssl rand -hex 32")
		} else if first, again := secrets[t.Token]; again {
			r.add(key+".token", nil, "is the same as "+first, "each needs its own")
		}
		secrets[t.Token] = key + ".token"
	}
	c.warnOfHTTP()
}

// CheckToken says why a text is no bearer token; nil: it is one.
func CheckToken(t Secret) error {
	switch n := len(t); {
	case n == 0:
		return fmt.Errorf("is missing")
	case n < MinToken || n > MaxToken:
		return fmt.Errorf("has %d characters, not %d to %d", n, MinToken, MaxToken)
	}
	for _, b := range []byte(t) {
		if b <= ' ' || b > '~' {
			return fmt.Errorf("holds more than letters, digits and signs")
		}
	}
	return nil
}

func (c *Config) checkHTTPTLS(r *report) {
	const key = "http.tls"
	t := c.HTTP.TLS
	r.oneOf(key+".auth-clients", t.AuthClients, AuthClientsYes, AuthClientsNo, AuthClientsOptional)
	if t.Cert == "" && t.Key == "" {
		if t.CA != "" || t.AuthClients != AuthClientsNo {
			r.add(key+".cert", nil, "is missing, although clients are to show certificates", "name the file of this agent's certificate, and of its key")
		}
		return
	}
	if c.Listen.HTTP == "" {
		r.add("listen.http", nil, "is empty, although http.tls is configured", "say where to listen, or take http.tls away")
	}
	TLS{Enabled: true, CA: t.CA, Cert: t.Cert, Key: t.Key}.check(r, key)
	switch {
	case t.CA == "" && t.AuthClients != AuthClientsNo:
		r.add(key+".ca", nil, "is missing", "name the certificates that sign the clients', or set auth-clients: no")
	case t.CA != "" && t.AuthClients == AuthClientsNo:
		r.add(key+".auth-clients", t.AuthClients, "is given although there is a ca", "set optional or yes, or take ca away")
	}
}

// warnOfHTTP tells when a port that others reach is hardly guarded as it was meant to be.
func (c *Config) warnOfHTTP() {
	h := c.HTTP
	if c.Listen.HTTP == "" || c.Listen.HTTP.Loopback() {
		return
	}
	warn := func(text string) { c.warnings = append(c.warnings, "listen.http: other hosts reach it, "+text) }
	switch {
	case len(h.Tokens) == 0 && h.TLS.CA == "":
		warn("and there are no http.tokens: nobody can change anything over HTTP, not even from this host; add tokens, or listen on 127.0.0.1")
	case len(h.Tokens) > 0 && h.TLS.Cert == "":
		warn("and tokens cross the network as they are; add http.tls")
	}
	if h.Anonymous == AnonymousRead {
		warn("and with http.anonymous: read whoever does may read everything, the replicated map, too; set local, and give tokens to those who read")
	}
}
