package api

import (
	"cmp"
	"context"
	"crypto/sha256"
	"crypto/subtle"
	"crypto/x509"
	"fmt"
	"net"
	"net/http"
	"net/netip"
	"strconv"
	"strings"
	"sync/atomic"
	"time"

	"picket/config"
)

// Role is what somebody may do. Each includes those before it.
type Role uint8

// Roles.
const (
	Anybody Role = iota // who shows nothing, from anywhere
	Read                // look
	Operate             // pause, hand over, fail over
	Admin               // change who the agents are, and the map
)

var roles = [...]string{"anybody", config.RoleRead, config.RoleOperate, config.RoleAdmin}

// String is the word for it in the configuration.
func (r Role) String() string { return roles[min(r, Admin)] }

func role(word string) Role {
	for r, name := range roles {
		if name == word {
			return Role(r)
		}
	}
	return Read
}

// caller is whoever makes a request.
type caller struct {
	name string // of the token, or of the certificate; empty: neither was shown
	by   string // token or certificate
	role Role
}

// signs says who does something: as the request says, and as is known.
func (c caller) signs(who string) string {
	switch {
	case c.name == "":
		return who
	case who == "":
		return c.by + " " + c.name
	}
	return fmt.Sprintf("%s (%s %s)", who, c.by, c.name)
}

type callerKey struct{}

// callerOf is who made a request that was admitted.
func callerOf(r *http.Request) caller {
	c, _ := r.Context().Value(callerKey{}).(caller)
	return c
}

// Attempt is a request that would change something, or one with a wrong token.
type Attempt struct {
	Who    string // empty: a program on this host, or nobody that is known
	Source string // its address
	Method string
	Path   string
	Status int // of the answer
}

// access decides who may do what.
type access struct {
	loopback bool // the server listens there only
	rules    atomic.Pointer[rules]
	failures *throttle // wrong tokens, by source
	requests *throttle // by source
	refusals *throttle // that are told of, of whoever is not known, by source
	right    tried     // tokens
	wrong    tried
	report   func(Attempt)
}

// rules are what the configuration says now.
type rules struct {
	anonymous string
	client    Role
	ca        bool // clients may show certificates
	tokens    []token
}

type token struct {
	name string
	role Role
	sum  [sha256.Size]byte
}

func newAccess(cfg config.HTTP, loopback bool, report func(Attempt)) *access {
	a := &access{
		loopback: loopback, report: report, failures: newThrottle(failurePause, failureBurst), requests: newThrottle(requestPause, requestBurst),
		refusals: newThrottle(refusalPause, refusalBurst),
	}
	a.take(cfg)
	return a
}

// take takes over what the configuration says.
func (a *access) take(cfg config.HTTP) {
	r := &rules{anonymous: cmp.Or(cfg.Anonymous, config.AnonymousLocal), client: role(cfg.ClientRole), ca: cfg.TLS.CA != ""}
	for _, t := range cfg.Tokens {
		if t.Token != "" { // else nobody can show it
			r.tokens = append(r.tokens, token{t.Name, role(t.Role), sha256.Sum256([]byte(t.Token))})
		}
	}
	a.rules.Store(r)
}

// admit answers a request that may not be made; else it gives the request with its caller.
func (a *access) admit(w http.ResponseWriter, r *http.Request, need Role) (*http.Request, bool) {
	if need == Anybody {
		return r, true
	}
	rules := a.rules.Load()
	c, ok := a.identify(w, r, rules)
	if !ok {
		return nil, false
	}
	if seen, ok := w.(*witness); ok {
		seen.who = c.signs("")
	}
	safe := r.Method == http.MethodGet || r.Method == http.MethodHead
	switch {
	case c.role < need:
		a.refuse(w, r, rules, c, need)
		return nil, false
	case !safe && c.by != "token" && foreign(r): // a browser shows certificates by itself, whichever page asks
		problem(w, r, Problem{Status: http.StatusForbidden,
			Detail: "changes are not taken from other sites' pages", Remedy: "send the request without an Origin header, or with a token"})
		return nil, false
	}
	ctx := context.WithValue(r.Context(), callerKey{}, c)
	return r.WithContext(withAdmission(ctx, func() bool { return a.who(r, a.rules.Load()).role >= need })), true
}

// identify finds out who asks. A wrong token is answered here. One that came from the same address before, be it right or wrong, is no guess: it does not
// wait for those that are, and is not counted.
func (a *access) identify(w http.ResponseWriter, r *http.Request, rules *rules) (c caller, ok bool) {
	header := r.Header.Get("Authorization")
	if header == "" {
		return a.who(r, rules), true
	}
	trial := trial{source(r.RemoteAddr), sha256.Sum256([]byte(header))}
	again := a.right.has(trial) || a.wrong.has(trial)
	if wait := a.failures.look(r.RemoteAddr); wait > 0 && !again {
		slow(w, r, wait, "too many wrong tokens came from this address")
		return c, false
	}
	if c = a.who(r, rules); c.name != "" {
		a.right.note(trial)
		return c, true
	}
	if !again {
		a.wrong.note(trial)
		a.failures.take(r.RemoteAddr)
		a.tell(Attempt{Source: r.RemoteAddr, Method: r.Method, Path: r.URL.Path, Status: http.StatusUnauthorized})
	}
	unauthorized(w, r, "the token is none of http.tokens", bearerRemedy)
	return c, false
}

// who is who asks, by rules that hold now. Whoever shows a token is nobody else than its bearer.
func (a *access) who(r *http.Request, rules *rules) caller {
	if header := r.Header.Get("Authorization"); header != "" {
		return rules.bearer(header)
	}
	if r.TLS != nil && len(r.TLS.VerifiedChains) > 0 {
		return caller{name: commonName(r.TLS.PeerCertificates[0]), by: "certificate", role: rules.client}
	}
	return caller{role: a.stranger(r, rules)}
}

// bearer compares with every token, whether or not one has matched, and in constant time: how long it takes tells nothing.
func (s *rules) bearer(header string) (c caller) {
	scheme, text, _ := strings.Cut(header, " ")
	sum := sha256.Sum256([]byte(strings.TrimSpace(text)))
	for _, t := range s.tokens {
		if subtle.ConstantTimeCompare(sum[:], t.sum[:]) == 1 && strings.EqualFold(scheme, "Bearer") {
			c = caller{t.name, "token", t.role}
		}
	}
	return c
}

// stranger is what somebody may do who shows nothing.
func (a *access) stranger(r *http.Request, rules *rules) Role {
	switch {
	case rules.anonymous == config.AnonymousNone:
		return Anybody
	case !rules.known() && a.trusted(r):
		return Admin
	case rules.anonymous == config.AnonymousRead, near(r) && loopback(r.Host):
		return Read
	}
	return Anybody
}

// known says whether there is anything that can be shown.
func (s *rules) known() bool { return len(s.tokens) > 0 || s.ca }

// near says whether a program on this host makes a request, and not, as far as can be seen, a proxy on this host for somebody else.
func near(r *http.Request) bool {
	for _, name := range []string{"Forwarded", "X-Forwarded-For", "X-Real-Ip", "Via"} {
		if r.Header.Get(name) != "" {
			return false
		}
	}
	return loopback(r.RemoteAddr)
}

func (a *access) trusted(r *http.Request) bool {
	why, _ := a.mistrust(r)
	return why == ""
}

// mistrust says why a request that shows nothing may not change anything, and what would help; empty: it may. Whoever writes must be a program on
// this host: not another host, and not a web page in this host's browser, be it through its own requests (Origin) or a name that was made to point
// here (Host).
func (a *access) mistrust(r *http.Request) (why, remedy string) {
	switch {
	case !a.loopback:
		return "this agent's HTTP port can be reached from other hosts, and has no http.tokens",
			"configure some, or set listen.http to a loopback address such as 127.0.0.1:26381, and write on the agent's host"
	case !near(r):
		return "without http.tokens writes are taken from this host only", "run the request on the agent's host"
	case !loopback(r.Host):
		return "the request names the host " + r.Host, "address the agent as 127.0.0.1, [::1] or localhost"
	case foreign(r):
		return "writes are not taken from other sites' pages", "send the request without an Origin header, for example with picket kv"
	}
	return "", ""
}

// foreign says whether a web page of another origin than this server makes a request.
func foreign(r *http.Request) bool {
	origin := r.Header.Get("Origin")
	scheme := "http://"
	if r.TLS != nil {
		scheme = "https://"
	}
	return origin != "" && origin != scheme+r.Host
}

func (a *access) refuse(w http.ResponseWriter, r *http.Request, rules *rules, c caller, need Role) {
	anonymous := rules.anonymous
	switch why, remedy := a.mistrust(r); {
	case c.name != "":
		problem(w, r, Problem{Status: http.StatusForbidden,
			Detail: fmt.Sprintf("%s %s has the role %s, and this needs %s", c.by, c.name, c.role, need), Remedy: "use another one, or change its role in the configuration"})
	case rules.known():
		unauthorized(w, r, "this needs a token of http.tokens with the role "+need.String(), bearerRemedy)
	case need > Read && anonymous != config.AnonymousNone:
		problem(w, r, Problem{Status: http.StatusForbidden, Detail: why, Remedy: remedy})
	case anonymous == config.AnonymousLocal:
		unauthorized(w, r, "from another host this needs a token, and http.tokens is empty", "configure one, or ask on the agent's host")
	default:
		unauthorized(w, r, "this needs a token, and http.tokens is empty", "configure one")
	}
}

const bearerRemedy = "send Authorization: Bearer TOKEN"

func unauthorized(w http.ResponseWriter, r *http.Request, detail, remedy string) {
	w.Header().Set("WWW-Authenticate", `Bearer realm="picket"`)
	problem(w, r, Problem{Status: http.StatusUnauthorized, Detail: detail, Remedy: remedy})
}

func slow(w http.ResponseWriter, r *http.Request, wait time.Duration, why string) {
	seconds := int(wait/time.Second) + 1
	w.Header().Set("Retry-After", strconv.Itoa(seconds))
	problem(w, r, Problem{Status: http.StatusTooManyRequests, Detail: why, Remedy: fmt.Sprintf("wait %d s", seconds)})
}

// maxPath bounds what is told of a path, which whoever asks has chosen.
const maxPath = 200

// tell reports a request.
func (a *access) tell(t Attempt) {
	t.Path = t.Path[:min(len(t.Path), maxPath)]
	if a.report != nil {
		a.report(t)
	}
}

// audited reports how the requests end that would change something.
func (a *access) audited(next http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if r.Method == http.MethodGet || r.Method == http.MethodHead || r.Method == http.MethodOptions {
			next.ServeHTTP(w, r)
			return
		}
		seen := &witness{ResponseWriter: w, status: http.StatusOK}
		next.ServeHTTP(seen, r)
		switch {
		case seen.status == http.StatusUnauthorized, seen.status == http.StatusTooManyRequests: // a wrong token was told of; of many, not all
		case seen.who == "" && seen.status >= http.StatusBadRequest && a.refusals.take(r.RemoteAddr) > 0: // strangers can't fill the log
		default:
			a.tell(Attempt{Who: seen.who, Source: r.RemoteAddr, Method: r.Method, Path: r.URL.Path, Status: seen.status})
		}
	})
}

// witness notes how a request is answered.
type witness struct {
	http.ResponseWriter
	status int
	who    string
}

func (w *witness) WriteHeader(status int) {
	w.status = status
	w.ResponseWriter.WriteHeader(status)
}

// Unwrap is for http.ResponseController.
func (w *witness) Unwrap() http.ResponseWriter { return w.ResponseWriter }

// maxName bounds what is told of a certificate: whoever signs them may have signed anything.
const maxName = 100

func commonName(c *x509.Certificate) string {
	name := c.Subject.CommonName
	if name == "" && len(c.DNSNames) > 0 {
		name = c.DNSNames[0]
	}
	if name == "" {
		name = "serial " + c.SerialNumber.String()
	}
	return strings.ToValidUTF8(name[:min(len(name), maxName)], "")
}

// loopback says whether an address, with or without a port, is of this host only.
func loopback(addr string) bool {
	host := addr
	if h, _, err := net.SplitHostPort(addr); err == nil {
		host = h
	}
	ip, err := netip.ParseAddr(strings.Trim(host, "[]"))
	return host == "localhost" || err == nil && ip.Unmap().IsLoopback()
}
