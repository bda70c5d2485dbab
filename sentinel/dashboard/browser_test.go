package dashboard_test

import (
	"context"
	"flag"
	"fmt"
	"net/url"
	"os"
	"os/exec"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/chromedp/cdproto/cdp"
	"github.com/chromedp/cdproto/emulation"
	"github.com/chromedp/cdproto/log"
	"github.com/chromedp/cdproto/network"
	"github.com/chromedp/cdproto/runtime"
	"github.com/chromedp/chromedp"
	"github.com/chromedp/chromedp/kb"

	"picket/sentinel/lab"
)

// binary is the picket program under test.
var binary string

// patience bounds each wait for the browser on a busy machine.
const patience = time.Minute

// tab is a page in a real browser, and what went wrong in it.
type tab struct {
	t    *testing.T
	ctx  context.Context
	base string

	mu       sync.Mutex
	faults   []string
	away     bool                       // the agent is known to be down: that it can't be reached is no fault
	late     map[network.RequestID]bool // what was asked meanwhile, which may be heard of later
	statuses []time.Time                // when the status was asked for
	streams  map[network.RequestID]bool // that are open
}

// open shows the page at an address in a tab of a browser without a past. When the test ends, nothing may have gone wrong in it: no error on the
// console, no exception, nothing that the page's policy forbids, no request to anybody but the agent.
func open(t *testing.T, base string, width, height int64) *tab {
	t.Helper()
	p := &tab{t: t, base: base, late: map[network.RequestID]bool{}, streams: map[network.RequestID]bool{}}
	p.ctx, _ = chromedp.NewContext(browser(t), chromedp.WithListener(p.saw), chromedp.WithNewBrowserContext())
	t.Cleanup(func() {
		_ = chromedp.Cancel(p.ctx) // the tab is closed, and that waited for
		p.mu.Lock()
		defer p.mu.Unlock()
		for _, f := range p.faults {
			t.Error(f)
		}
	})
	p.do(chromedp.EmulateViewport(width, height))
	call(p, log.Enable, cdp.Empty{})
	call(p, network.Enable, network.EnableParams{})
	p.prefer("light")
	p.do(chromedp.Navigate(base))
	return p
}

// shared is the browser of all tests; each has a tab and a profile of its own in it.
var shared struct {
	once sync.Once
	ctx  context.Context
	stop func()
	err  error
}

func TestMain(m *testing.M) {
	flag.Parse()
	os.Exit(lab.WithProgram(func(program string) int {
		binary = program
		code := m.Run()
		if shared.stop != nil {
			shared.stop()
		}
		return code
	}))
}

// browser starts the browser, once.
func browser(t *testing.T) context.Context {
	t.Helper()
	program := chromium(t)
	shared.once.Do(func() {
		dir, err := os.MkdirTemp("", "picket-chromium-")
		if err != nil {
			t.Fatal(err)
		}
		ctx, cancel := chromedp.NewExecAllocator(context.Background(),
			chromedp.ExecPath(program), chromedp.Headless, chromedp.NoSandbox, chromedp.DisableGPU, chromedp.NoFirstRun, chromedp.NoDefaultBrowserCheck,
			chromedp.UserDataDir(dir), chromedp.Flag("hide-scrollbars", true), chromedp.Flag("disable-quic", true), chromedp.Flag("disable-dev-shm-usage", true),
			chromedp.Flag("disable-background-networking", true), chromedp.Flag("disable-component-update", true), chromedp.Flag("disable-sync", true))
		shared.ctx, _ = chromedp.NewContext(ctx)
		shared.err = chromedp.Do(shared.ctx)
		shared.stop = func() {
			_ = chromedp.Cancel(shared.ctx) // it is told to end, and waited for
			cancel()
			_ = os.RemoveAll(dir)
		}
	})
	if shared.err != nil {
		t.Fatalf("start the browser: %v", shared.err)
	}
	return shared.ctx
}

// chromium finds the browser. Where there is none the test is skipped, but not in CI: a check must not vanish there unseen.
func chromium(t *testing.T) string {
	t.Helper()
	for _, name := range []string{"chromium", "chromium-browser", "google-chrome"} {
		if path, err := exec.LookPath(name); err == nil {
			return path
		}
	}
	if os.Getenv("CI") == "true" {
		t.Fatal("chromium is not installed, and CI is to have it: see .ci/setup")
	}
	t.Skip("chromium is not installed: apt-get install chromium")
	return ""
}

// saw takes in what the browser tells of the page. It must not wait for anything.
func (p *tab) saw(event any) {
	p.mu.Lock()
	defer p.mu.Unlock()
	fault := func(format string, args ...any) {
		if len(p.faults) < 20 {
			p.faults = append(p.faults, fmt.Sprintf(format, args...))
		}
	}
	switch e := event.(type) {
	case *runtime.EventExceptionThrown:
		text := e.ExceptionDetails.Text
		if x := e.ExceptionDetails.Exception; x != nil {
			text += " " + x.Description
		}
		fault("exception: %s", text)
	case *runtime.EventConsoleAPICalled:
		fault("console: %v", e.Args)
	case *log.EventEntryAdded:
		if e.Entry.Source != "network" || !p.away && !p.late[e.Entry.NetworkRequestID] {
			fault("log: %s: %s (%s)", e.Entry.Source, e.Entry.Text, e.Entry.URL)
		}
	case *network.EventRequestWillBeSent:
		p.late[e.RequestID] = p.away
		to, err := url.Parse(e.Request.URL)
		if home, _ := url.Parse(p.base); err != nil || to.Host != home.Host && to.Scheme != "data" && to.Scheme != "about" {
			fault("a request to another origin: %s", e.Request.URL)
		} else if to.Path == "/v1/status" {
			p.statuses = append(p.statuses, time.Now())
		} else if to.Path == "/v1/events" {
			p.streams[e.RequestID] = true
		}
	case *network.EventLoadingFailed:
		delete(p.streams, e.RequestID)
	case *network.EventLoadingFinished:
		delete(p.streams, e.RequestID)
	}
}

// without runs f while the agent is known to be down, or to refuse.
func (p *tab) without(f func()) {
	set := func(away bool) {
		p.mu.Lock()
		defer p.mu.Unlock()
		p.away = away
	}
	set(true)
	f()
	set(false)
}

// paced fails the test if the page has asked for the status more often than it may.
func (p *tab) paced() {
	p.t.Helper()
	p.mu.Lock()
	defer p.mu.Unlock()
	if len(p.statuses) < 3 {
		p.t.Errorf("the page has asked for the status %d times only", len(p.statuses))
	}
	for i := 2; i < len(p.statuses); i++ { // of two in a row, one may have been late in coming here
		if d := p.statuses[i].Sub(p.statuses[i-2]); d < 1800*time.Millisecond {
			p.t.Errorf("the page asked for the status three times in %s", d)
		}
	}
}

func (p *tab) limit() (context.Context, context.CancelFunc) {
	return context.WithTimeout(p.ctx, patience)
}

func (p *tab) do(actions ...chromedp.Action[chromedp.Void]) {
	p.t.Helper()
	ctx := p.ctx
	if chromedp.FromContext(ctx).Target != nil { // the first action starts the browser, which must live longer than that
		var cancel context.CancelFunc
		ctx, cancel = p.limit()
		defer cancel()
	}
	if err := chromedp.Do(ctx, actions...); err != nil {
		p.t.Fatal(err)
	}
}

func call[P, R any](p *tab, command cdp.Command[P, R], params P) R {
	p.t.Helper()
	ctx, cancel := p.limit()
	defer cancel()
	result, err := chromedp.Call(ctx, command, params)
	if err != nil {
		p.t.Fatalf("%s: %v", command.Method, err)
	}
	return result
}

// eval runs JavaScript in the page, and waits for its promise if it gives one.
func eval[T any](p *tab, script string) T {
	p.t.Helper()
	ctx, cancel := p.limit()
	defer cancel()
	result, err := chromedp.Run(ctx, chromedp.Evaluate[T](script, chromedp.EvalAwaitPromise))
	if err != nil {
		p.t.Fatalf("%s: %v", script, err)
	}
	return result
}

// await waits until a script gives true, and tells what the page says if it never does.
func (p *tab) await(what, script string) {
	p.t.Helper()
	for deadline := time.Now().Add(patience); !eval[bool](p, script); time.Sleep(20 * time.Millisecond) {
		if time.Now().After(deadline) {
			p.t.Fatalf("waited %s until %s; the page says:\n%s", patience, what, eval[string](p, "document.body.innerText"))
		}
	}
}

// shows waits until the page shows a text somewhere in the elements of a selector.
func (p *tab) shows(selector, text string) {
	p.t.Helper()
	p.await(fmt.Sprintf("%s shows %q", selector, text),
		fmt.Sprintf(`[...document.querySelectorAll(%q)].some((e) => e.textContent.includes(%q))`, selector, text))
}

// prefer sets the system's colour scheme, and has nothing move.
func (p *tab) prefer(scheme string) {
	p.t.Helper()
	call(p, emulation.SetEmulatedMedia, emulation.SetEmulatedMediaParams{Features: []*emulation.MediaFeature{
		{Name: "prefers-color-scheme", Value: scheme}, {Name: "prefers-reduced-motion", Value: "reduce"},
	}})
}

// click waits for an element, and clicks on it.
func (p *tab) click(selector string) {
	p.t.Helper()
	p.do(chromedp.Click(chromedp.CSS(selector)))
}

// keys presses keys, as a person without a mouse does.
func (p *tab) keys(keys string) {
	p.t.Helper()
	p.do(chromedp.KeyEvent(keys))
}

// escape closes a dialog.
func (p *tab) escape() {
	p.t.Helper()
	p.keys(kb.Escape)
	p.await("the dialog is closed", `document.querySelector('dialog[open]') === null`)
}

// tabTo presses Tab until a control of this name has the focus.
func (p *tab) tabTo(name string) {
	p.t.Helper()
	var seen []string
	for range 80 {
		p.keys("\t")
		at := eval[string](p, `document.activeElement === document.body ? '' : (document.activeElement.labels?.[0] ?? document.activeElement).textContent.trim() || document.activeElement.id`)
		if strings.Contains(at, name) {
			visible := eval[bool](p, `getComputedStyle(document.activeElement).outlineStyle !== 'none'`)
			if !visible {
				p.t.Errorf("nobody sees that %q has the focus", at)
			}
			return
		}
		seen = append(seen, at)
	}
	p.t.Fatalf("Tab never comes to %q; it comes to %q", name, slices.Compact(seen))
}

// fits fails the test if the page must be scrolled sideways.
func (p *tab) fits() {
	p.t.Helper()
	if w := eval[[]int](p, `[document.documentElement.scrollWidth, innerWidth]`); w[0] > w[1] {
		wide := eval[[]string](p, `[...document.querySelectorAll('body *')].filter((e) => e.getBoundingClientRect().right > innerWidth + 1).map((e) => e.tagName + '.' + e.className).slice(0, 8)`)
		p.t.Errorf("the page is %d wide in a window of %d: %q", w[0], w[1], wide)
	}
}
