package config

import (
	"crypto/tls"
	"crypto/x509"
	"errors"
	"fmt"
	"io/fs"
	"net/netip"
	"os"
	"os/exec"
	"os/user"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"time"
)

func (r *report) name(key, value string) {
	switch {
	case value == "":
		r.add(key, nil, "is missing", "")
	case !names.MatchString(value):
		r.add(key, value, "is not a name", "use up to 100 letters, digits, dots, dashes and underscores")
	}
}

func (r *report) oneOf(key, value string, words ...string) {
	if !slices.Contains(words, value) {
		r.add(key, value, "is not one of "+strings.Join(words, ", "), "")
	}
}

func (r *report) atLeast(key string, value, least time.Duration) {
	if value < least {
		r.add(key, value, "is too short", fmt.Sprintf("use at least %v", least))
	}
}

func (r *report) between(key string, value, least, most time.Duration) {
	r.atLeast(key, value, least)
	if value > most {
		r.add(key, value, "is too long", fmt.Sprintf("use at most %v", most))
	}
}

// shorter checks what must be over before a master that hangs counts as down.
func (r *report) shorter(key string, value time.Duration, m *Master) {
	if value >= m.DownAfter {
		r.add(key, value, fmt.Sprintf("is not shorter than down-after, %v", m.DownAfter), "")
	}
}

// unique tells repeated values: it knows the first key of each.
type unique[V ~string] map[V]string

func (u unique[V]) check(r *report, key string, value V) {
	first, again := u[value]
	switch {
	case value == "": // missing, which is reported as such
	case again:
		r.add(key, value, "is the same as "+first, "each needs its own")
	default:
		u[value] = key
	}
}

// server checks an address to which every agent connects.
func (c *Config) server(r *report, key string, a Addr) {
	switch {
	case a == "":
		r.add(key, nil, "is missing", "write it like 10.0.0.1:6379")
	case a.unspecified():
		r.add(key, a, "is not the address of one server", "write the address under which all agents reach it")
	case a.Loopback() && slices.ContainsFunc(c.Agents, func(p Peer) bool { return p.Address != "" && !p.Address.Loopback() }):
		r.add(key, a, "means another server on each host, and not all agents are on this one",
			"write the address under which all agents reach it")
	}
}

// executable checks a program that is to be run; empty: there is none.
func (r *report) executable(key, path string) {
	if path == "" {
		return
	}
	if err := Executable(path); err != nil {
		r.add(key, path, "is no program that can be run: "+err.Error(), "name a file that this user may execute; chmod +x makes it one")
	}
}

// Executable says why a file can't be run as a program by this user; nil: it can. A name without a directory is one in the working
// directory, as for Redis Sentinel, and is not searched for.
func Executable(path string) error {
	whole, err := filepath.Abs(path)
	if err != nil {
		return err
	}
	if _, err = exec.LookPath(whole); err == nil {
		return nil
	}
	if of := (*exec.Error)(nil); errors.As(err, &of) {
		err = of.Err
	}
	return errors.New(reason(err))
}

func (a Addr) unspecified() bool {
	ip, err := netip.ParseAddr(a.Host())
	return err == nil && ip.IsUnspecified()
}

// literal says whether the host is an IP address.
func (a Addr) literal() bool {
	_, err := netip.ParseAddr(a.Host())
	return err == nil
}

// Loopback says whether only its own host reaches it.
func (a Addr) Loopback() bool {
	ip, err := netip.ParseAddr(a.Host())
	return err == nil && ip.IsLoopback() || strings.EqualFold(a.Host(), "localhost")
}

// secret reads a secret's file, if there is one.
func (c *Config) secret(r *report, key string, secret *Secret, file string) {
	if file == "" {
		return
	}
	if *secret != "" {
		r.add(key, *secret, fmt.Sprintf("is given although %s-file is, too", key), "keep one of them")
		return
	}
	var err error
	if *secret, err = ReadSecret(file); err != nil {
		r.unread(key+"-file", file, err, "name a file that this user may read")
		return
	}
	if info, err := os.Stat(file); err == nil && info.Mode()&0o004 != 0 {
		c.warnings = append(c.warnings, fmt.Sprintf("%s-file: everybody on this host may read %s; chmod o= %s", key, file, file))
	}
}

// unread reports a file that can't be read.
func (r *report) unread(key, path string, err error, remedy string) {
	message := "cannot be read: " + reason(err)
	if errors.Is(err, fs.ErrPermission) {
		message, remedy = barred(path)
	}
	r.add(key, path, message, remedy)
}

// barred says who may not read a file, and how he may.
func barred(path string) (message, remedy string) {
	who := strconv.Itoa(os.Geteuid())
	if u, err := user.LookupId(who); err == nil {
		who = u.Username
	}
	if _, err := os.Stat(path); errors.Is(err, fs.ErrPermission) { // it lies where he may not look
		path = filepath.Dir(path)
	}
	return "may not be read by the user " + who, fmt.Sprintf("as root: chown %s: %s", who, path)
}

// reason is an error without the file's name, which the problem has anyway.
func reason(err error) string {
	if at := (*fs.PathError)(nil); errors.As(err, &at) {
		return at.Err.Error()
	}
	return err.Error()
}

// check loads the files once, to report what is wrong with them now rather than at the first connection.
func (t TLS) check(r *report, key string) {
	if !t.Enabled {
		if t != (TLS{}) {
			r.add(key+".enabled", nil, "is not true, although TLS is configured", "set enabled: true, or take the other keys away")
		}
		return
	}
	if t.CA != "" {
		if pem, err := ReadFile(t.CA, maxFile); err != nil {
			r.unread(key+".ca", t.CA, err, "name a PEM file that this user may read")
		} else if !x509.NewCertPool().AppendCertsFromPEM(pem) {
			r.add(key+".ca", t.CA, "holds no certificate in PEM", "")
		}
	}
	switch {
	case t.Cert == "" && t.Key == "":
	case t.Cert == "":
		r.add(key+".cert", nil, "is missing, although there is a key", "name the file of the key's certificate")
	case t.Key == "":
		r.add(key+".key", nil, "is missing, although there is a certificate", "name the file of the certificate's key")
	default:
		at := (*fs.PathError)(nil)
		switch _, err := tls.LoadX509KeyPair(t.Cert, t.Key); {
		case errors.Is(err, fs.ErrPermission) && errors.As(err, &at):
			r.unread(key+map[bool]string{true: ".key", false: ".cert"}[at.Path == t.Key], at.Path, err, "")
		case err != nil:
			r.add(key+".cert", t.Cert, fmt.Sprintf("does not load together with key %q: %v", t.Key, err), "")
		}
	}
}

// checkMutual reports what is missing for both sides to prove who they are.
func (t TLS) checkMutual(r *report, key string) {
	if !t.Enabled {
		return
	}
	for _, file := range []struct{ name, path string }{{"ca", t.CA}, {"cert", t.Cert}, {"key", t.Key}} {
		if file.path == "" {
			r.add(key+"."+file.name, nil, "is missing", "agents prove to each other who they are: ca, cert and key are needed")
		}
	}
}
