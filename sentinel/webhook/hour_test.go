package webhook

import (
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"encoding/json"
	"encoding/pem"
	"fmt"
	"io"
	"log"
	"math/big"
	"net"
	"net/http"
	"os"
	"path/filepath"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/cloudevents/sdk-go/v2/event"
	standardwebhooks "github.com/standard-webhooks/standard-webhooks/libraries/go"

	"picket/config"
	"picket/sentinel/sim/network"
	"picket/sentinel/state"
)

// flawed is a receiver that fails in every way, on a network in memory. What it takes it checks by the means of others: the library of Standard
// Webhooks, and the SDK of CloudEvents.
type flawed struct {
	verifier *standardwebhooks.Webhook
	process  *network.Process
	good     tls.Certificate
	wrong    tls.Certificate // nobody has signed it
	server   *http.Server
	served   sync.WaitGroup

	mu       sync.Mutex
	mode     string
	poisoned bool // what concerns the master c is refused
	tried    map[string]int
	bodies   map[string]string // by id
	taken    map[string]int    // how often, by id
	newest   map[string]uint64 // of the first deliveries, by master
	faults   []string
}

// Ways to fail, and to work.
const (
	works, refuses, hangs, breaks, slowsDown, unknown, redirects = "works", "refuses", "hangs", "500", "429", "wrong TLS", "redirects"
)

const hourAddr = "10.0.0.100"

func newFlawed(t *testing.T, process *network.Process, dir string) *flawed {
	verifier, err := standardwebhooks.NewWebhookRaw([]byte(testKey))
	if err != nil {
		t.Fatal(err)
	}
	return &flawed{
		verifier: verifier, process: process, good: certificate(t, filepath.Join(dir, "ca.pem")), wrong: certificate(t, filepath.Join(dir, "other.pem")),
		poisoned: true, tried: map[string]int{}, bodies: map[string]string{}, taken: map[string]int{}, newest: map[string]uint64{},
	}
}

// certificate makes one that signs itself, and writes it into a file.
func certificate(t *testing.T, file string) tls.Certificate {
	t.Helper()
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	template := &x509.Certificate{
		SerialNumber: big.NewInt(1), NotBefore: time.Unix(0, 0), NotAfter: time.Now().Add(1e6 * time.Hour), IsCA: true, BasicConstraintsValid: true,
		IPAddresses: []net.IP{net.ParseIP(hourAddr)},
	}
	der, err := x509.CreateCertificate(rand.Reader, template, template, &key.PublicKey, key)
	if err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(file, pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: der}), 0o600); err != nil {
		t.Fatal(err)
	}
	return tls.Certificate{Certificate: [][]byte{der}, PrivateKey: key}
}

// be changes how the receiver works. Connections that there are end.
func (f *flawed) be(mode string) {
	f.stop()
	f.mu.Lock()
	f.mode = mode
	f.mu.Unlock()
	if mode == refuses {
		return
	}
	pair := f.good
	if mode == unknown {
		pair = f.wrong
	}
	listener, err := f.process.Listen("tcp", ":8443")
	if err != nil {
		panic(err) // nobody else listens there
	}
	f.server = &http.Server{Handler: f, TLSConfig: &tls.Config{Certificates: []tls.Certificate{pair}}, ErrorLog: log.New(io.Discard, "", 0)}
	f.served.Go(func() { _ = f.server.ServeTLS(listener, "", "") }) // ends with stop
}

func (f *flawed) stop() {
	if f.server != nil {
		_ = f.server.Close() // what is under way is lost
		f.server = nil
	}
	f.served.Wait()
}

func (f *flawed) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	body, err := io.ReadAll(r.Body)
	if err != nil {
		return // the sender has given up
	}
	f.mu.Lock()
	mode := f.mode
	master, sequence := f.check(r, string(body))
	f.tried[mode]++
	poison := f.poisoned && master == "c"
	if mode == works && !poison {
		f.take(r.Header.Get("webhook-id"), master, sequence)
	}
	f.mu.Unlock()
	switch {
	case r.URL.Path != "/hook":
		f.fault("a redirect was followed to %s", r.URL.Path)
	case mode == hangs:
		<-r.Context().Done()
	case mode == breaks:
		w.WriteHeader(http.StatusInternalServerError)
	case mode == slowsDown:
		w.Header().Set("Retry-After", "90")
		w.WriteHeader(http.StatusTooManyRequests)
	case mode == redirects:
		http.Redirect(w, r, "/elsewhere", http.StatusTemporaryRedirect)
	case poison:
		w.WriteHeader(http.StatusBadRequest)
	default:
		w.WriteHeader(http.StatusNoContent)
	}
}

func (f *flawed) fault(format string, args ...any) {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.faults = append(f.faults, fmt.Sprintf(format, args...))
}

// check verifies a request, whether it is taken or not. The receiver is locked.
func (f *flawed) check(r *http.Request, body string) (master string, sequence uint64) {
	fault := func(format string, args ...any) { f.faults = append(f.faults, fmt.Sprintf(format, args...)) }
	id := r.Header.Get("webhook-id")
	if err := f.verifier.Verify([]byte(body), r.Header); err != nil {
		fault("the signature of %s: %v", id, err)
	}
	var e event.Event
	if err := json.Unmarshal([]byte(body), &e); err != nil {
		fault("the body of %s: %v", id, err)
	} else if err := e.Validate(); err != nil {
		fault("the event %s: %v", id, err)
	}
	if e.ID() != id || r.Header.Get("Content-Type") != event.ApplicationCloudEventsJSON+"; charset=UTF-8" || r.Header.Get("X-Team") != "storage" {
		fault("the event %s has the id %s, headers %v", id, e.ID(), r.Header)
	}
	if before, again := f.bodies[id]; again && before != body {
		fault("the event %s has another body than before", id)
	}
	f.bodies[id] = body
	_, _ = fmt.Sscan(fmt.Sprint(e.Extensions()["sequence"]), &sequence) // 0 is out of order
	return e.Subject(), sequence
}

// take notes what was taken, and whether that is in order.
func (f *flawed) take(id, master string, sequence uint64) {
	if f.taken[id]++; f.taken[id] > 1 {
		return
	}
	// What comes out of a dead letter is late, and only that.
	if sequence <= f.newest[master] && (f.poisoned || master != "c") {
		f.faults = append(f.faults, fmt.Sprintf("%s of %s comes after %d", id, master, f.newest[master]))
	}
	f.newest[master] = max(f.newest[master], sequence)
}

// hour plays an hour in which a receiver fails in every way, and three leaders die. It gives what is wrong, in words.
func hour(t *testing.T) []string {
	var faults []string
	synctest.Test(t, func(t *testing.T) {
		net, dir := network.New(1), t.TempDir()
		process := net.Host(hourAddr).Process()
		f := newFlawed(t, process, dir)
		h := newHistory(t)
		h.add("a", state.MasterAdded)
		h.add("b", state.MasterAdded)
		h.add("c", state.MasterAdded)
		webhook := hook(config.Webhook{
			URL: "https://" + hourAddr + ":8443/hook", TLS: config.WebhookTLS{CA: filepath.Join(dir, "ca.pem")}, GiveUpAfter: 70 * time.Minute,
			Headers: []config.Header{{Name: "X-Team", Value: "storage"}},
		})
		agents, told := 0, &reports{}
		reign := func() (end func()) {
			agents++
			agent := net.Host(fmt.Sprintf("10.0.0.%d", agents)).Process()
			d, err := New(Config{Cluster: "c", Webhooks: []config.Webhook{webhook}, Source: h, Dial: agent.Dial, Report: told.add})
			if err != nil {
				t.Fatal(err)
			}
			stop := run(t, d)
			return func() { stop(); agent.Kill() }
		}
		end := reign()
		time.Sleep(time.Second)
		first := h.State().Latest()
		modes := []string{works, refuses, hangs, breaks, slowsDown, unknown, redirects}
		const minutes = 63
		for minute := range minutes {
			if minute%9 == 0 {
				f.be(modes[minute/9])
			}
			if minute == 12 || minute == 31 || minute == 50 {
				end()
				end = reign()
			}
			for _, master := range []string{"a", "b", "c"} {
				h.add(master, state.MasterChanged)
				time.Sleep(20 * time.Second)
			}
		}
		f.be(works)
		time.Sleep(80 * time.Minute)
		faults = append(faults, f.missing(h, first, "after the hour")...)
		dead := len(h.State().Cursor("ops").Dead)
		if dead < minutes/2 || dead != told.of(Died) {
			faults = append(faults, fmt.Sprintf("%d dead letters, %d reports of some", dead, told.of(Died)))
		}
		f.mu.Lock()
		f.poisoned = false
		for _, mode := range modes {
			if mode != refuses && mode != unknown && f.tried[mode] == 0 {
				faults = append(faults, "it was not tried while the receiver "+mode)
			}
		}
		f.mu.Unlock()
		h.must(state.Command{Delivery: &state.Delivery{Kind: state.DeliveryAgainAll, Endpoint: "ops"}})
		time.Sleep(10 * time.Minute)
		end()
		f.stop()
		if left := len(h.State().Cursor("ops").Dead); left != 0 {
			faults = append(faults, fmt.Sprintf("%d dead letters are left", left))
		}
		faults = append(faults, f.missing(h, first, "after the redelivery")...)
		if n, most := f.repeats(), 3*3; n > most { // an event of each master, by each leader that died
			faults = append(faults, fmt.Sprintf("%d events came more than once, of which %d were to be expected at most", n, most))
		}
		faults = append(faults, f.faults...)
		process.Kill()
	})
	return faults
}

// missing says which events were neither taken nor are dead letters.
func (f *flawed) missing(h *history, after uint64, when string) (faults []string) {
	f.mu.Lock()
	defer f.mu.Unlock()
	s := h.State()
	for _, e := range s.After(after, len(s.Events)) {
		id := fmt.Sprintf("c-%d", e.ID)
		if e.Type == state.MasterChanged && f.taken[id] == 0 && s.Cursor("ops").Letter(e.ID) == nil {
			faults = append(faults, fmt.Sprintf("%s, %s of %s was not delivered", when, id, e.Master))
		}
	}
	return faults
}

// repeats counts the events that were taken more than once.
func (f *flawed) repeats() (n int) {
	f.mu.Lock()
	defer f.mu.Unlock()
	for _, times := range f.taken {
		if times > 1 {
			n++
		}
	}
	return n
}

// TestAnHour_ReceiverFailsInEveryWay: refused, hangs, 500, 429, wrong TLS and redirects, for an hour of virtual time, and three leaders die
// meanwhile. Every event comes once or more, in order for each master, with the same id and body; what is refused for good becomes a dead
// letter, and is delivered again when somebody asks for that.
func TestAnHour_ReceiverFailsInEveryWay(t *testing.T) {
	for _, fault := range hour(t) {
		t.Error(fault)
	}
}
