package api

import (
	"crypto/sha256"
	"crypto/tls"
	"crypto/x509"
	"crypto/x509/pkix"
	"fmt"
	"io"
	"math/big"
	"net"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"picket/config"
)

const (
	readToken    = "read-read-read-read"
	operateToken = "operate-operate-operate"
	adminToken   = "admin-admin-admin"
)

func guarded(anonymous string) config.HTTP {
	return config.HTTP{Anonymous: anonymous, ClientRole: config.RoleOperate, Tokens: []config.Token{
		{Name: "grafana", Token: readToken, Role: config.RoleRead}, {Name: "ops", Token: operateToken, Role: config.RoleOperate},
		{Name: "root", Token: adminToken, Role: config.RoleAdmin}, {Name: "nobody", Role: config.RoleAdmin},
	}}
}

// three has a route for each role.
func three(a *access) *door {
	d := newDoor(a)
	ok := func(w http.ResponseWriter, r *http.Request) { _, _ = io.WriteString(w, callerOf(r).signs("ann")) }
	d.handle("GET /anybody", Anybody, operation{}, ok)
	d.handle("GET /read", Read, operation{}, ok)
	d.handle("POST /operate", Operate, operation{}, ok)
	d.handle("POST /admin", Admin, operation{}, ok)
	return d
}

func TestAccess_GoesByTheRole(t *testing.T) {
	shown := &tls.ConnectionState{
		VerifiedChains: [][]*x509.Certificate{{{}}}, PeerCertificates: []*x509.Certificate{{Subject: pkix.Name{CommonName: "deploy"}}},
	}
	const here, there = "127.0.0.1:9", "10.0.0.9:9"
	for name, c := range map[string]struct {
		cfg    config.HTTP
		from   string
		header string
		tls    *tls.ConnectionState
		origin string
		want   [4]int // of /anybody, /read, /operate, /admin
		who    string // of the first that is answered but /anybody
	}{
		"no tokens, from here":      {config.HTTP{}, here, "", nil, "", [4]int{200, 200, 200, 200}, "ann"},
		"no tokens, from elsewhere": {config.HTTP{}, there, "", nil, "", [4]int{200, 401, 403, 403}, ""},
		"no tokens, for nobody":     {config.HTTP{Anonymous: "none"}, here, "", nil, "", [4]int{200, 401, 401, 401}, ""},
		"no tokens, read by all":    {config.HTTP{Anonymous: "read"}, there, "", nil, "", [4]int{200, 200, 403, 403}, "ann"},
		"nothing shown, from here":  {guarded("local"), here, "", nil, "", [4]int{200, 200, 401, 401}, "ann"},
		"nothing shown":             {guarded("local"), there, "", nil, "", [4]int{200, 401, 401, 401}, ""},
		"nothing shown, for all":    {guarded("read"), there, "", nil, "", [4]int{200, 200, 401, 401}, "ann"},
		"nothing shown, for nobody": {guarded("none"), here, "", nil, "", [4]int{200, 401, 401, 401}, ""},
		"reader":                    {guarded("none"), there, "Bearer " + readToken, nil, "", [4]int{200, 200, 403, 403}, "ann (token grafana)"},
		"operator":                  {guarded("none"), there, "bearer " + operateToken, nil, "", [4]int{200, 200, 200, 403}, "ann (token ops)"},
		"operator from a page":      {guarded("none"), there, "Bearer " + operateToken, nil, "https://other.example", [4]int{200, 200, 200, 403}, "ann (token ops)"},
		"admin":                     {guarded("none"), there, "Bearer " + adminToken, nil, "", [4]int{200, 200, 200, 200}, "ann (token root)"},
		"wrong":                     {guarded("read"), here, "Bearer " + adminToken + "x", nil, "", [4]int{200, 401, 401, 401}, ""},
		"empty":                     {guarded("read"), here, "Bearer ", nil, "", [4]int{200, 401, 401, 401}, ""},
		"another scheme":            {guarded("read"), here, "Basic " + adminToken, nil, "", [4]int{200, 401, 401, 401}, ""},
		"certificate":               {guarded("none"), there, "", shown, "", [4]int{200, 200, 200, 403}, "ann (certificate deploy)"},
		"certificate from a page":   {guarded("none"), there, "", shown, "https://other.example", [4]int{200, 200, 403, 403}, "ann (certificate deploy)"},
		"certificate from own page": {guarded("none"), there, "", shown, "https://127.0.0.1:1", [4]int{200, 200, 200, 403}, "ann (certificate deploy)"},
		"certificate and token":     {guarded("none"), there, "Bearer " + readToken, shown, "", [4]int{200, 200, 403, 403}, "ann (token grafana)"},
	} {
		t.Run(name, func(t *testing.T) {
			d := three(newAccess(c.cfg, true, nil))
			for i, route := range []string{"GET /anybody", "GET /read", "POST /operate", "POST /admin"} {
				method, path, _ := strings.Cut(route, " ")
				r := httptest.NewRequest(method, "http://127.0.0.1:1"+path, nil)
				r.RemoteAddr, r.TLS = c.from, c.tls
				if c.header != "" {
					r.Header.Set("Authorization", c.header)
				}
				if c.origin != "" {
					r.Header.Set("Origin", c.origin)
				}
				w := httptest.NewRecorder()
				d.ServeHTTP(w, r)
				if w.Code != c.want[i] {
					t.Errorf("%s: %d %s", path, w.Code, w.Body)
				}
				if w.Code == 200 && i == 1 && w.Body.String() != c.who {
					t.Errorf("%s: by %s", path, w.Body)
				}
				if challenge := w.Header().Get("WWW-Authenticate"); (w.Code == 401) != (challenge != "") {
					t.Errorf("%s: %d, challenge %q", path, w.Code, challenge)
				}
				if far := c.from == there && c.cfg.Anonymous == ""; far && w.Code == 401 != strings.Contains(w.Body.String(), "ask on the agent's host") {
					t.Errorf("%s: it is not said what would help: %s", path, w.Body)
				}
				if strings.Contains(w.Body.String(), "read-read") {
					t.Errorf("a token is shown: %s", w.Body)
				}
			}
		})
	}
}

func TestAccess_TakesOverOtherTokens(t *testing.T) {
	a := newAccess(guarded("none"), true, nil)
	r := httptest.NewRequest(http.MethodGet, "/read", nil)
	r.Header.Set("Authorization", "Bearer "+readToken)
	admitted, ok := a.admit(httptest.NewRecorder(), r, Read)
	if !ok || !stillAdmitted(admitted) {
		t.Fatal("refused")
	}
	a.take(config.HTTP{Tokens: []config.Token{{Name: "grafana", Token: operateToken, Role: config.RoleRead}}})
	if stillAdmitted(admitted) {
		t.Error("a stream goes on although its token was taken away")
	}
	if _, ok := a.admit(httptest.NewRecorder(), r, Read); ok {
		t.Error("the former token still counts")
	}
}

func TestAccess_TellsWhoChangedSomething(t *testing.T) {
	var told []Attempt
	a := newAccess(guarded("local"), true, func(at Attempt) { told = append(told, at) })
	h := a.audited(three(a))
	for _, header := range []string{"Bearer " + operateToken, "Bearer nonsense", "Bearer " + readToken} {
		r := httptest.NewRequest(http.MethodPost, "/operate", nil)
		r.Header.Set("Authorization", header)
		h.ServeHTTP(httptest.NewRecorder(), r)
	}
	h.ServeHTTP(httptest.NewRecorder(), local(http.MethodGet, "/read"))
	want := []Attempt{
		{Who: "token ops", Source: "192.0.2.1:1234", Method: "POST", Path: "/operate", Status: 200},
		{Source: "192.0.2.1:1234", Method: "POST", Path: "/operate", Status: 401},
		{Who: "token grafana", Source: "192.0.2.1:1234", Method: "POST", Path: "/operate", Status: 403},
	}
	if len(told) != len(want) || told[0] != want[0] || told[1] != want[1] || told[2] != want[2] {
		t.Errorf("told %+v", told)
	}
}

// TestAccess_GuessingIsSlow: after some wrong tokens whoever asks from that address has to wait, but for a token that was shown there before: who bears a
// right one is not locked out by a neighbour behind the same address translation, nor a program that goes on with a wrong one any neighbour.
func TestAccess_GuessingIsSlow(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		told := 0
		d := three(newAccess(guarded("none"), true, func(Attempt) { told++ }))
		try := func(from, token string) (int, string) {
			r := httptest.NewRequest(http.MethodGet, "/read", nil)
			r.RemoteAddr = from
			r.Header.Set("Authorization", "Bearer "+token)
			w := httptest.NewRecorder()
			d.ServeHTTP(w, r)
			return w.Code, w.Header().Get("Retry-After")
		}
		if code, _ := try("10.0.0.9:1", operateToken); code != 200 {
			t.Errorf("%d", code)
		}
		for range 10 * failureBurst {
			if code, _ := try("10.0.0.9:1", "an old one"); code != 401 {
				t.Errorf("one wrong token, again and again: %d", code)
			}
		}
		for i := range failureBurst - 1 {
			if code, _ := try("10.0.0.9:1", fmt.Sprint("wrong", i)); code != 401 {
				t.Errorf("%d", code)
			}
		}
		for _, token := range []string{readToken, "another wrong one"} {
			if code, after := try("10.0.0.9:2", token); code != 429 || after == "" {
				t.Errorf("%d, retry after %q", code, after)
			}
		}
		if code, _ := try("10.0.0.9:3", operateToken); code != 200 {
			t.Errorf("a token that was right there before: %d", code)
		}
		if code, _ := try("10.0.0.8:1", readToken); code != 200 {
			t.Errorf("another address: %d", code)
		}
		time.Sleep(failurePause + time.Second)
		if code, _ := try("10.0.0.9:1", readToken); code != 200 {
			t.Errorf("later: %d", code)
		}
		if told != failureBurst {
			t.Errorf("told of %d wrong tokens", told)
		}
	})
}

func TestTried_IsBounded(t *testing.T) {
	var known tried
	for i := range 3 * maxSources {
		known.note(trial{sum: sha256.Sum256([]byte(fmt.Sprint(i)))})
	}
	if n := len(known.all); n > maxSources {
		t.Errorf("%d are known", n)
	}
}

// TestCommonName: whoever shows a certificate has a name, and not a long one.
func TestCommonName(t *testing.T) {
	serial := big.NewInt(4711)
	for want, c := range map[string]*x509.Certificate{
		"deploy":                      {Subject: pkix.Name{CommonName: "deploy"}, DNSNames: []string{"h"}, SerialNumber: serial},
		"h":                           {DNSNames: []string{"h", "i"}, SerialNumber: serial},
		"serial 4711":                 {SerialNumber: serial},
		"x" + strings.Repeat("é", 49): {Subject: pkix.Name{CommonName: "x" + strings.Repeat("é", 1000)}},
	} {
		if got := commonName(c); got != want {
			t.Errorf("%q, want %q", got, want)
		}
	}
}

// TestAccess_OfAProxyIsNotOfThisHost: whoever comes by way of a proxy on the agent's host is not taken for a program on it.
func TestAccess_OfAProxyIsNotOfThisHost(t *testing.T) {
	for _, header := range []string{"", "X-Forwarded-For", "Forwarded", "X-Real-IP", "Via"} {
		want := [2]int{401, 403}
		if header == "" {
			want = [2]int{200, 200}
		}
		d := three(newAccess(config.HTTP{}, true, nil))
		for i, r := range []*http.Request{local(http.MethodGet, "/read"), local(http.MethodPost, "/admin")} {
			if header != "" {
				r.Header.Set(header, "10.0.0.9")
			}
			w := httptest.NewRecorder()
			if d.ServeHTTP(w, r); w.Code != want[i] {
				t.Errorf("%q, %s: %d", header, r.URL.Path, w.Code)
			}
		}
	}
}

// TestAccess_StrangersDoNotFillTheLog: what somebody unknown may not do, or can't, is told of some times only, and a path in part. Nor has a path that
// there is not any more requests than the others.
func TestAccess_StrangersDoNotFillTheLog(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		told, longest := 0, 0
		a := newAccess(config.HTTP{}, false, func(at Attempt) { told++; longest = max(longest, len(at.Path)) })
		h := a.audited(three(a))
		codes := map[int]int{}
		for i := range requestBurst + 10 {
			path := []string{"/operate", "/nothing/" + strings.Repeat("x", 2*maxPath)}[i%2]
			w := httptest.NewRecorder()
			h.ServeHTTP(w, httptest.NewRequest(http.MethodPost, path, nil))
			codes[w.Code]++
		}
		if codes[403] != requestBurst/2 || codes[404] != requestBurst/2 || codes[429] != 10 {
			t.Errorf("answers %v", codes)
		}
		if told != refusalBurst || longest != maxPath {
			t.Errorf("told %d times, with paths up to %d", told, longest)
		}
	})
}

func TestThrottle_TellsAddressesApartUpToALimit(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		limit := newThrottle(time.Minute, 1)
		addr := func(i int) string { return net.JoinHostPort(net.IPv4(10, 1, byte(i>>8), byte(i)).String(), "1") }
		for i := range maxSources {
			if wait := limit.take(addr(i)); wait != 0 {
				t.Fatalf("%s waits %s", addr(i), wait)
			}
		}
		if limit.take("10.9.0.1:1") != 0 || limit.take("10.9.0.2:1") == 0 {
			t.Error("what is too much does not share an account")
		}
		if n := len(limit.full); n > maxSources+1 {
			t.Errorf("%d accounts", n)
		}
		time.Sleep(2 * time.Minute)
		if limit.take("10.9.0.1:1") != 0 || limit.take("10.9.0.2:1") != 0 {
			t.Error("accounts that are full again are not dropped")
		}
		if limit.take("[2001:db8::1]:1") != 0 || limit.take("[2001:db8::2]:1") == 0 || limit.take("[2001:db8:0:1::1]:1") != 0 {
			t.Error("of IPv6, a host is not its /64")
		}
	})
}

func TestListener_KeepsToItsLimits(t *testing.T) {
	l := limit(nil)
	from := func(i int) string { return net.JoinHostPort(net.IPv4(10, 1, byte(i>>8), byte(i)).String(), "1") }
	for range maxPerSource {
		if !l.enter(source(from(0))) {
			t.Fatal("refused")
		}
	}
	if l.enter(source(from(0))) {
		t.Error("one address has too many")
	}
	for i := 1; l.remote < maxRemote; i++ {
		if !l.enter(source(from(i))) {
			t.Fatal("refused")
		}
	}
	if l.enter(source("10.2.0.1:1")) {
		t.Error("there are too many in all")
	}
	for range maxLocal {
		if !l.enter(source("127.0.0.1:1")) {
			t.Error("this host's own are kept out")
		}
	}
	if l.enter(source("[::1]:1")) {
		t.Error("there are too many of this host")
	}
	for _, one := range []string{from(0), from(1), "127.0.0.1:1"} {
		l.leave(source(one))
		if !l.enter(source(one)) || l.enter(source(one)) {
			t.Error("whoever leaves makes no room, or more")
		}
	}
	for range l.remote {
		for one := range l.by {
			l.leave(one)
			break
		}
	}
	if l.remote != 0 || len(l.by) != 0 {
		t.Errorf("when all have left, %d are there, of %d addresses", l.remote, len(l.by))
	}
}

// arrivals is a listener at which connections of one address arrive.
type arrivals struct {
	net.Listener
	left int
	last *arrived
}

type arrived struct {
	net.Conn
	closed bool
}

func (a *arrivals) Accept() (net.Conn, error) {
	if a.left--; a.left < 0 {
		return nil, net.ErrClosed
	}
	a.last = &arrived{}
	return a.last, nil
}

func (*arrived) RemoteAddr() net.Addr { return &net.TCPAddr{IP: net.IPv4(10, 1, 0, 1), Port: 1} }
func (c *arrived) Close() error       { c.closed = true; return nil }

// TestListener_MakesRoomOnlyWhereSomebodyIsIdle: as long as all have something to do, nobody else is let in.
func TestListener_MakesRoomOnlyWhereSomebodyIsIdle(t *testing.T) {
	all := &arrivals{left: maxPerSource + 1}
	l := limit(all)
	var first net.Conn
	for i := range maxPerSource {
		c, err := l.Accept()
		if err != nil {
			t.Fatal(err)
		}
		if i == 0 {
			first = c
		}
	}
	if c, err := l.Accept(); err == nil || !all.last.closed {
		t.Errorf("one is too many, and is let in or left open: %v", c)
	}
	l.Listener = &arrivals{left: 1}
	l.state(first, http.StateIdle)
	if _, err := l.Accept(); err != nil || !first.(*counted).Conn.(*arrived).closed || l.count() != maxPerSource {
		t.Errorf("%v; of %d connections none was closed", err, l.count())
	}
}

// TestListener_TheLongestIdleMakesRoom, of those whose place the new one could take.
func TestListener_TheLongestIdleMakesRoom(t *testing.T) {
	l := limit(nil)
	names := map[*counted]string{nil: "none"}
	for i, host := range []string{"[::1]:1", "10.0.0.2:1", "10.0.0.1:1", "10.0.0.1:2"} { // the first one since the longest time
		c := &counted{from: source(host), of: l}
		names[c], l.idle[c] = host, time.Unix(int64(i), 0)
	}
	l.by[source("10.0.0.1:1")] = maxPerSource
	for _, c := range []struct{ from, want string }{
		{"10.0.0.1:9", "10.0.0.1:1"}, // has too many itself
		{"10.0.0.3:9", "10.0.0.2:1"}, // there are too many in all
		{"127.0.0.1:9", "[::1]:1"},
		{"127.0.0.1:9", "none"},
		{"10.0.0.1:9", "10.0.0.1:2"},
		{"10.0.0.1:9", "none"},
	} {
		if got := names[l.longest(source(c.from))]; got != c.want {
			t.Errorf("for %s goes %s, want %s", c.from, got, c.want)
		}
	}
}
