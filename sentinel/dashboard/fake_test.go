package dashboard_test

import (
	_ "embed"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/chromedp/chromedp"

	"picket/config"
	"picket/failover"
	"picket/monitor"
	"picket/sentinel/api"
	"picket/sentinel/dashboard"
	"picket/sentinel/events"
	"picket/sentinel/picture"
	"picket/sentinel/state"
)

// fake is an agent that says what a test wants, in the agents' own types.
type fake struct {
	mu      sync.Mutex
	picture picture.Picture
	past    []failover.Record
	plan    failover.Forecast
	orders  []string // bodies of what was ordered, with their paths
	short   bool     // streams end as soon as they have begun
	token   string   // without it, nothing is told; empty: all is
}

// newFake serves the page and an agent's answers behind it.
func newFake(t *testing.T, p picture.Picture, past ...failover.Record) (url string) {
	return (&fake{picture: p, past: past}).serve(t)
}

func (f *fake) serve(t *testing.T) (url string) {
	mux := http.NewServeMux()
	mux.Handle("/", dashboard.Handler())
	answer := func(path string, body func() any) {
		mux.HandleFunc("GET "+path, func(w http.ResponseWriter, _ *http.Request) {
			f.mu.Lock()
			defer f.mu.Unlock()
			w.Header().Set("Content-Type", "application/json")
			_ = json.NewEncoder(w).Encode(body()) // the page is gone
		})
	}
	answer("/v1/status", func() any { f.picture.At = time.Now(); return f.picture })
	answer("/v1/whoami", func() any { return api.Caller{Name: "ann", By: "token", Role: config.RoleOperate} })
	answer("/v1/history", func() any {
		body := api.Pasts{Failovers: []api.Past{}}
		for _, r := range f.past {
			body.Failovers = append(body.Failovers, api.Past{Record: r})
		}
		return body
	})
	answer("/v1/masters/{name}/rehearsal", func() any {
		return failover.Rehearsal{From: "10.0.0.1:6379", To: "10.0.0.2:6379", Why: "it is 0 bytes behind"}
	})
	answer("/v1/masters/{name}/plan", func() any { return f.plan })
	mux.HandleFunc("POST /v1/", func(w http.ResponseWriter, r *http.Request) {
		body, _ := io.ReadAll(r.Body) // what is missing is seen
		f.mu.Lock()
		defer f.mu.Unlock()
		f.orders = append(f.orders, r.URL.Path+" "+string(body))
		if r.URL.Path == "/v1/failover" {
			w.WriteHeader(http.StatusConflict)
			_ = json.NewEncoder(w).Encode(api.Problem{Detail: "a Redis Sentinel watches it, too", Remedy: "stop it"})
			return
		}
		_ = json.NewEncoder(w).Encode(api.Pauses{})
	})
	answer("/v1/pause", func() any { return api.Pauses{Pauses: f.picture.Pauses} })
	mux.HandleFunc("DELETE /v1/pause", func(w http.ResponseWriter, r *http.Request) {
		f.mu.Lock()
		defer f.mu.Unlock()
		f.orders = append(f.orders, "DELETE "+r.URL.String())
		f.picture.Pauses, f.picture.Masters[0].Paused = nil, nil
		_ = json.NewEncoder(w).Encode(api.Pauses{Pauses: []picture.Pause{}})
	})
	stop := make(chan struct{})
	mux.HandleFunc("GET /v1/events", func(w http.ResponseWriter, r *http.Request) {
		w.Header().Set("Content-Type", "text/event-stream")
		w.WriteHeader(http.StatusOK)
		_ = http.NewResponseController(w).Flush()
		if f.short {
			return
		}
		select {
		case <-r.Context().Done():
		case <-stop:
		}
	})
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if strings.HasPrefix(r.URL.Path, "/v1/") && f.token != "" && r.Header.Get("Authorization") != "Bearer "+f.token {
			time.Sleep(100 * time.Millisecond) // for longer than the page needs to show that it tries
			w.WriteHeader(http.StatusUnauthorized)
			_ = json.NewEncoder(w).Encode(api.Problem{Detail: "it is not known who asks"})
			return
		}
		mux.ServeHTTP(w, r)
	}))
	t.Cleanup(server.Close)
	t.Cleanup(func() { close(stop) })
	return server.URL
}

// group is a picture of agents that watch so many masters, which are well.
func group(masters int) picture.Picture {
	p := picture.Picture{
		Version: "test", Cluster: "main", Agent: "agent-1", Epoch: 7, Role: "follower", Leader: "agent-2", Majority: true,
		Pauses: []picture.Pause{}, Events: []state.Event{},
	}
	for i := range 3 {
		id := fmt.Sprintf("agent-%d", i+1)
		p.Agents = append(p.Agents, picture.Agent{
			ID: id, Self: i == 0, Up: true, Voter: true, Epoch: 7, Role: map[bool]string{true: "leader", false: "follower"}[i == 1],
			Local: config.NewAddr(fmt.Sprintf("10.0.0.%d", i+1), 6379),
		})
	}
	for i := range masters {
		p.Masters = append(p.Masters, watched(fmt.Sprintf("cache-%03d", i), 6379+i))
	}
	return p
}

func watched(name string, port int) picture.Master {
	addr := func(i int) config.Addr { return config.NewAddr(fmt.Sprintf("10.0.0.%d", i), port) }
	m := picture.Master{
		Name: name, Epoch: 3, Quorum: 2, Verdict: monitor.Verdict{Code: monitor.Healthy, Text: "the master answers"},
		Server: picture.Server{Addr: addr(1), State: "up", Lag: -1, Last: &monitor.Observation{Role: "master"}},
	}
	for i := 2; i <= 3; i++ {
		m.Replicas = append(m.Replicas, picture.Server{
			Addr: addr(i), State: "up", Last: &monitor.Observation{Role: "slave", Master: addr(1), LinkUp: true},
		})
	}
	return m
}

// crash is a failover of the past.
func crash(id uint64, master string) failover.Record {
	day := time.Date(2026, 1, 2, 3, 4, 5, 0, time.UTC)
	at := func(ms int) monitor.Moment { return monitor.MomentOf(day.Add(time.Duration(ms) * time.Millisecond)) }
	return failover.Record{
		ID: id, Master: master, Epoch: 3, Phase: failover.Ended, Outcome: failover.Done, Cause: failover.CauseDown, Old: "10.0.0.3:6379", Target: "10.0.0.1:6379",
		Evidence: "agent-1, agent-2 find it dead", Code: monitor.DeadMaster, Rule: monitor.QuorumRefused, Chosen: "it holds the most", Leaders: []uint64{3},
		Agents: []string{"agent-2"}, DownAt: at(0), BegunAt: at(11), PromoteAt: at(22), SwitchAt: at(42), EndAt: at(311),
		Seen:       []failover.Witness{{Agent: "agent-1", State: "down", Evidence: "refused", Since: at(0)}, {Agent: "agent-2", State: "down", Evidence: "refused", Since: at(2)}},
		Candidates: []failover.Candidate{{Server: "10.0.0.1:6379", Offset: 9, ReadAt: at(20)}, {Server: "10.0.0.2:6379", Offset: 9, ReadAt: at(21)}},
		Repointed:  []config.Addr{"10.0.0.2:6379"}, RepointAt: []monitor.Moment{at(300)},
	}
}

// TestPage_TextStaysText has servers, agents and operators say what would be markup, or a script: nothing of it becomes any.
func TestPage_TextStaysText(t *testing.T) {
	t.Parallel()
	const evil = `"><img src=x onerror="window.hacked=1"><script>window.hacked=1</script>`
	p := group(2)
	m := &p.Masters[0]
	m.Name = evil
	m.Replicas[0].State, m.Replicas[0].Down, m.Replicas[0].Evidence, m.Replicas[0].Addr = "down", true, evil, config.Addr(evil)
	m.Paused = &picture.Pause{Who: evil, Why: evil, Until: time.Now()}
	m.Findings = []monitor.Finding{{Code: monitor.Code(evil), Where: evil, Text: evil, Remedy: evil}}
	m.Blocker = &failover.Blocker{Reason: evil, Text: evil, Remedy: evil}
	p.Cluster, p.Agents[0].ID, p.Leader = evil, evil, evil
	for i, kind := range []state.EventType{state.FailoverBegun, state.PauseBegun, state.EventType(evil)} {
		p.Events = append(p.Events, state.Event{ID: uint64(i + 1), Type: kind, Master: evil, Data: state.EventData{Evidence: evil, Who: evil, Why: evil}})
	}
	record := crash(9, evil)
	record.Evidence, record.Chosen, record.Why, record.Agents = evil, evil, evil, []string{evil}
	record.Old, record.Target, record.Candidates[0].Unfit = config.Addr(evil), config.Addr(evil), evil
	tab := open(t, newFake(t, p, record), 1280, 900)
	tab.shows(".failover", evil)
	for _, part := range []string{"#cluster", "#group", "#masters", "#master-name", ".sentence", ".remedy", ".facts", ".findings", ".tables", ".failover h4", ".why", "#events"} {
		tab.shows(part, evil)
	}
	tab.click(`.actions button`)
	tab.shows("#dialog-title", evil)
	if got := eval[[]int](tab, `[window.hacked ?? 0, document.images.length, document.scripts.length, document.querySelectorAll('[onerror]').length]`); got[0] != 0 || got[1] != 1 || got[2] != 1 || got[3] != 0 {
		t.Errorf("hacked, images, scripts, handlers: %v", got)
	}
}

// TestPage_Actions: what may lose writes wants more than a click, orders say what was chosen, and a refusal is told with its remedy.
func TestPage_Actions(t *testing.T) {
	t.Parallel()
	f := &fake{picture: group(1), plan: failover.Forecast{
		Decision: failover.Decision{Outlook: &failover.Imagined{Blocker: &failover.Blocker{Reason: "quorum-missing", Text: "10.0.0.3:6379 is missing", Remedy: "start it"}}},
	}}
	tab := open(t, f.serve(t), 1280, 900)
	pressable := func() bool {
		t.Helper()
		return eval[bool](tab, `!document.querySelector('#action .primary').disabled`)
	}
	tab.shows(".actions", "Fail over")
	tab.click(`.actions button:nth-child(2)`)
	tab.shows("#action .plan", "10.0.0.3:6379 is missing")
	tab.shows("#action .plan", "Start it")
	tab.do(chromedp.SendKeys(chromedp.CSS(`#action input[type=text]`), "cache-00"))
	tab.click(`#action input[type=checkbox]`)
	if pressable() {
		t.Error("a failover may be ordered although the master's name is not typed")
	}
	tab.do(chromedp.SendKeys(chromedp.CSS(`#action input[type=text]`), "0"))
	tab.await("the button can be pressed", `!document.querySelector('#action .primary').disabled`)
	tab.click(`#action input[type=checkbox]`)
	tab.await("it can't without the assurance", `document.querySelector('#action .primary').disabled`)
	tab.click(`#action input[type=checkbox]`)
	tab.without(func() {
		tab.click(`#action .primary`)
		tab.shows("#action [role=status]", "Refused: a Redis Sentinel watches it, too; stop it")
	})
	tab.escape()
	tab.click(`.actions button:nth-child(3)`)
	tab.shows("#dialog-title", "Pause cache-000")
	tab.do(chromedp.SendKeys(chromedp.CSS(`#action input[type=text]`), "new rack"))
	tab.click(`#action .primary`)
	tab.shows("#action [role=status]", "It is paused")
	f.mu.Lock()
	defer f.mu.Unlock()
	if got := strings.Join(f.orders, "\n"); got != `/v1/failover {"master":"cache-000","who":"dashboard","allow_data_loss":true}`+"\n"+
		`/v1/pause {"master":"cache-000","who":"dashboard","for":"60m","why":"new rack"}` {
		t.Errorf("ordered:\n%s", got)
	}
}

// TestPage_EndsThePauseOfAll: whoever sees a master paused can end that, also where the pause is of all masters.
func TestPage_EndsThePauseOfAll(t *testing.T) {
	t.Parallel()
	f := &fake{picture: group(2)}
	all := picture.Pause{Who: "bob", Why: "new racks", Until: time.Now().Add(time.Hour)}
	f.picture.Pauses, f.picture.Masters[0].Paused = []picture.Pause{all}, &all
	tab := open(t, f.serve(t), 1280, 900)
	tab.shows(".actions", "Resume all")
	tab.click(`.actions button:last-child`)
	tab.shows("#action .plan", "by bob (new racks), until ")
	tab.click(`#action .primary`)
	tab.shows("#action [role=status]", "The pause has ended.")
	tab.await("it is not offered any more", `![...document.querySelectorAll('.actions button')].some((b) => b.textContent.includes('Resume'))`)
	f.mu.Lock()
	defer f.mu.Unlock()
	if got := strings.Join(f.orders, "\n"); got != "DELETE /v1/pause?who=dashboard" {
		t.Errorf("ordered:\n%s", got)
	}
}

// TestPage_IsPatientWithAStreamThatEnds: an agent, or what stands before it, that ends each stream as soon as it has begun is not asked ever so often.
func TestPage_IsPatientWithAStreamThatEnds(t *testing.T) {
	t.Parallel()
	f := &fake{picture: group(1), short: true}
	tab := open(t, f.serve(t), 1280, 900)
	tab.await("the pauses grow", `/Next try in ([3-9]|1\d) s/.test(document.querySelector('#banner').textContent)`)
}

// TestPage_AsksForAToken: where an agent tells nothing to whoever is not known, the page says so, takes a token, and goes on with it.
func TestPage_AsksForAToken(t *testing.T) {
	t.Parallel()
	tab := open(t, (&fake{picture: group(1), token: "hunter2"}).serve(t), 1280, 900)
	tab.without(func() {
		tab.shows("#banner", "This agent tells only those who have a token.")
		eval[bool](tab, `window.tries = window.others = 0, new MutationObserver(() => {
			const text = document.querySelector('#banner').textContent
			window.tries += text.includes('Trying') && text.includes('Enter a token')
			window.others += !text.includes('Enter a token')
		}).observe(document.querySelector('#banner'), { childList: true, subtree: true, characterData: true }), true`)
		tab.await("it has tried again, twice", `window.tries >= 2`)
		if n := eval[int](tab, `window.others`); n > 0 {
			t.Errorf("meanwhile it offered something else, %d times", n)
		}
		tab.click("#banner button")
		tab.do(chromedp.SendKeys(chromedp.CSS("#token-text"), "hunter3\r"))
		tab.shows("#token-error", "it is not known who asks")
		tab.do(chromedp.SetValue(chromedp.CSS("#token-text"), "hunter2"))
		tab.click("#token-use")
		tab.shows(".sentence", "All is well")
	})
	tab.await("the banner is gone", `document.querySelector('#banner').hidden`)
}

// TestPage_TellsOfAnotherVersion: agents are updated while people look at them.
func TestPage_TellsOfAnotherVersion(t *testing.T) {
	t.Parallel()
	f := &fake{picture: group(1)}
	tab := open(t, f.serve(t), 1280, 900)
	tab.shows(".sentence", "All is well")
	f.mu.Lock()
	f.picture.Version = "v2"
	f.mu.Unlock()
	tab.shows("#banner", "The agent runs version v2 now, and this page is of test.")
	tab.click("#banner button")
	tab.await("the page was loaded again", `document.querySelector('#banner')?.hidden === true && document.querySelector('.sentence') !== null`)
}

// TestPage_KnowsEveryEvent: of each type there are words, a shape and a colour.
func TestPage_KnowsEveryEvent(t *testing.T) {
	t.Parallel()
	p := group(2)
	for _, kind := range events.Catalogue {
		if !kind.Uncommon {
			p.Events = append(p.Events, kind.Sample())
		}
	}
	tab := open(t, newFake(t, p), 1280, 900)
	tab.await("all events are listed", fmt.Sprintf(`document.querySelectorAll('.event').length === %d`, len(p.Events)))
	for _, e := range eval[[][]string](tab, `[...document.querySelectorAll('.event')].map((e) => [e.querySelector('.words').className, e.textContent, e.querySelector('p + p').lastChild.textContent.trim()])`) {
		if strings.Contains(e[0], "unknown") || e[2] == "" || strings.Contains(e[1], "undefined") || strings.Contains(e[1], "NaN") || strings.Contains(e[1], "1970") {
			t.Errorf("an event is told as %q", e)
		}
	}
}

// TestPage_ManyMasters: a hundred of them can be found, seen and followed.
func TestPage_ManyMasters(t *testing.T) {
	t.Parallel()
	p := group(100)
	p.Masters[42].Server.State, p.Masters[42].Server.Evidence, p.Masters[42].ODown = "down", "refused", true
	tab := open(t, newFake(t, p, crash(9, "cache-000")), 1280, 900)
	tab.shows("#masters", "100 watched, 1 not well")
	links := func(want int) {
		t.Helper()
		tab.await(fmt.Sprintf("%d masters are listed", want), fmt.Sprintf(`document.querySelectorAll('#masters a').length === %d`, want))
	}
	links(100)
	tab.click(`#masters input[type=checkbox]`)
	links(1)
	tab.click(`#masters a`)
	tab.shows("h2", "cache-042")
	tab.shows(".topology", "down: refuses connections")
	tab.shows(".sentence", "The master is down.")
	if hash := eval[string](tab, `location.hash`); hash != "#/masters/cache-042" {
		t.Errorf("the address is %s: a master has one of its own", hash)
	}
	tab.click(`#masters input[type=checkbox]`)
	tab.do(chromedp.SendKeys(chromedp.CSS(`#masters input[type=search]`), "10.0.0.1:6386"))
	links(1)
	tab.shows("#masters a", "cache-007")
	tab.fits()
	for _, width := range []int64{380, 800} {
		tab.do(chromedp.EmulateViewport(width, 800))
		tab.fits()
	}
	// Painting it anew leaves what has the focus, and what is typed there.
	eval[any](tab, `window.kept = document.querySelector('#masters input[type=search]'); kept.focus(); dispatchEvent(new Event('resize'))`)
	eval[any](tab, `new Promise((done) => requestAnimationFrame(() => requestAnimationFrame(done)))`)
	if !eval[bool](tab, `document.activeElement === kept && kept.isConnected && kept.value === '10.0.0.1:6386'`) {
		t.Error("the field was painted anew while it had the focus")
	}
}

// TestPage_Contrast measures every text against what is behind it, in both themes, in good times and bad: 4.5 to 1 at least, as WCAG 2 has
// it (AA). Large letters and what is switched off are not excepted, but for buttons that can't be pressed.
func TestPage_Contrast(t *testing.T) {
	t.Parallel()
	p := group(1)
	m := &p.Masters[0]
	m.Replicas[0].State, m.Replicas[0].Evidence, m.Replicas[0].Down = "down", "timed-out", true
	m.Replicas[1].Last.LinkUp = false
	m.Paused = &picture.Pause{Who: "ann", Why: "new rack", Until: time.Now().Add(time.Hour)}
	m.Findings = []monitor.Finding{{Code: monitor.ReplicaLinkDown, Where: "10.0.0.3:6379", Text: "no link", Remedy: "look at its log"}}
	p.Agents = append(p.Agents, picture.Agent{ID: "witness", Witness: true, Voter: true})
	for i, kind := range []state.EventType{state.FailoverBegun, state.FailoverPromoting, state.FailoverSwitched} {
		p.Events = append(p.Events, state.Event{ID: uint64(i + 1), Type: kind, Master: m.Name, Data: state.EventData{Evidence: "it is dead", To: "10.0.0.2:6379", Why: "it holds the most"}})
	}
	given := crash(10, m.Name)
	given.Outcome, given.Why, given.HandOver = failover.Aborted, "no replica caught up with the master in time", true
	tab := open(t, newFake(t, p, crash(9, m.Name), given), 1280, 900)
	tab.shows(".failover", "Switchover given up")
	eval[any](tab, `document.querySelectorAll('details').forEach((d) => { d.open = true })`)
	for _, theme := range []string{"light", "dark"} {
		tab.prefer(theme)
		tab.contrast(theme, 80)
		tab.click(`.actions button`)
		tab.shows("#action .plan", "it is 0 bytes behind")
		tab.contrast(theme+", a dialog", 15)
		tab.escape()
	}
	shapes := eval[map[string]string](tab, `Object.fromEntries([...document.querySelectorAll('.mark')].map((m) => [m.classList[1], m.getAttribute('d')]))`)
	different := map[string]bool{}
	for _, d := range shapes {
		different[d] = true
	}
	if len(shapes) < 4 || len(different) != len(shapes) {
		t.Errorf("of %d meanings only %d have a shape of their own", len(shapes), len(different))
	}
	dark := eval[string](tab, `getComputedStyle(document.body).backgroundColor`)
	tab.click("#theme")
	tab.shows("#theme", "light")
	if light := eval[string](tab, `getComputedStyle(document.body).backgroundColor`); light == dark {
		t.Errorf("the switch leaves the ground %s", dark)
	}
	tab.do(chromedp.Reload())
	tab.shows("#theme", "Theme: light")
}

//go:embed testdata/contrast.js
var contrast string

// contrast measures the page, which has so many texts at least.
func (p *tab) contrast(what string, least int) {
	p.t.Helper()
	got := eval[struct {
		Texts int
		Weak  []string
	}](p, contrast)
	if got.Texts < least {
		p.t.Errorf("%s: %d texts were measured", what, got.Texts)
	}
	if len(got.Weak) > 0 {
		p.t.Errorf("%s: hard to read:\n%s", what, strings.Join(got.Weak, "\n"))
	}
}
