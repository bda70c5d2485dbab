package dashboard_test

import (
	"bytes"
	"cmp"
	"context"
	"encoding/json"
	"flag"
	"fmt"
	"image"
	"image/color"
	"image/draw"
	"image/png"
	"maps"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/chromedp/cdproto/accessibility"
	"github.com/chromedp/chromedp"
	"github.com/chromedp/chromedp/kb"

	"picket/config"
	"picket/sentinel/lab"
)

var screenshots = flag.String("screenshots", "", "directory for pictures of the page, as in the README; run it from there: -screenshots ../../docs")

const tokenText = "a-token-for-the-tests-of-the-page"

// TestPage_ShowsAFailover looks at one agent of a real cluster through the page, while its master is killed and comes back, its agent is restarted, and
// an operator without a mouse hands the master over.
func TestPage_ShowsAFailover(t *testing.T) {
	t.Parallel()
	chromium(t) // before all the rest is started in vain
	l := lab.New(t.TempDir())
	t.Cleanup(l.Close)
	cooldown := time.Duration(0)
	c, err := l.StartCluster(lab.ClusterOptions{
		Program: binary, DownAfter: time.Second, Cooldown: &cooldown,
		File: []string{"http:", "  tokens:", "    - {name: ann, role: operate, token: " + tokenText + "}"},
	})
	if err != nil {
		t.Fatal(err)
	}
	agent := c.Agents[1]
	p := open(t, "http://"+string(agent.HTTP), 1280, 900)
	old := c.Redis[0]
	p.shows(".sentence.good", "All is well")
	p.shows(".server.master .addr", string(old.Addr))
	p.shows(".server.master", "lease promised")
	p.await("two arrows lead to replicas", `document.querySelectorAll('.edge.live').length === 2`)
	p.shows("#connection", "live from "+agent.ID)
	p.reads(agent.ID, string(old.Addr))
	p.fits()

	old.Kill()
	next := p.master(c, old.Addr)
	p.shows(".failover .move", string(old.Addr)+" → "+string(next.Addr))
	p.shows("#events", string(next.Addr)+" is the master; clients are told")
	p.shows(".failover .why", "DeadMaster by rule quorum-refused")
	p.shows(".topology", "down: refuses connections")
	p.await("the bar has the phases of what clients waited for",
		`['agree', 'elect', 'cut and read', 'choose', 'promote'].every((name) => [...document.querySelectorAll('.failover .wait .phase')].some((e) => e.title.startsWith(name + ': ')))`)
	if err := old.Start(); err != nil {
		t.Fatal(err)
	}
	settle(t, c, next.Addr)
	p.shows(".sentence.good", "All is well")
	p.shows(".failover h4", "Failover")
	p.await("what came after is in the bar", `document.querySelector('.failover .after .length').textContent.startsWith('Tidied up')`)

	p.without(func() {
		agent.Kill()
		p.shows("#banner", "Next try in")
		p.await("the picture is marked", `document.body.classList.contains('stale') && document.querySelector('#connection').textContent.includes('not live')`)
		p.shows("#news", "The agent is not heard")
		if err := agent.Start(); err != nil {
			t.Fatal(err)
		}
		p.await("the page is live again", `document.querySelector('#banner').hidden && !document.body.classList.contains('stale')`)
	})
	settle(t, c, next.Addr)
	p.shows(".sentence.good", "All is well")

	p.signIn()
	p.pictures()
	p.handOver(c, old.Addr)
	for _, width := range []int64{380, 700} {
		p.do(chromedp.EmulateViewport(width, 800))
		p.await("the picture fits", `document.querySelector('.topology').getBoundingClientRect().right <= innerWidth`)
		p.fits()
	}
	p.rests()
	p.paced()
}

// master waits until the page shows another master than the old one, and gives it.
func (p *tab) master(c *lab.Cluster, old config.Addr) *lab.Redis {
	p.t.Helper()
	const shown = `document.querySelector('.server.master .addr').textContent`
	p.await("another master is shown", fmt.Sprintf(`%s !== %q`, shown, old))
	next := c.At(config.Addr(eval[string](p, shown)))
	if next == nil {
		p.t.Fatalf("the page shows %s as the master", eval[string](p, shown))
	}
	return next
}

func settle(t *testing.T, c *lab.Cluster, master config.Addr) {
	t.Helper()
	if err := c.AwaitSettled(patience, master); err != nil {
		t.Fatal(err)
	}
}

// signIn enters a token, after a wrong one.
func (p *tab) signIn() {
	p.t.Helper()
	if n := eval[int](p, `[...document.querySelectorAll('.actions button')].filter((b) => b.textContent.includes('over')).length`); n != 0 {
		p.t.Errorf("who has no token is offered %d actions", n)
	}
	eval[any](p, `document.activeElement.blur()`)
	p.tabTo("Enter a token to act")
	p.keys(kb.Enter)
	p.await("the dialog asks for a token", `document.activeElement.id === 'token-text'`)
	p.without(func() { // that the wrong one is refused is no fault
		p.keys("wrong-token-of-nobody" + kb.Enter)
		p.await("a wrong token is refused", `document.querySelector('#token-error').textContent !== ''`)
	})
	p.keys(strings.Repeat(kb.Backspace, len("wrong-token-of-nobody")) + tokenText + kb.Enter)
	p.shows("#sign", "ann")
	p.shows(".actions", "Switch over")
	if at := eval[string](p, `location.href + document.cookie + JSON.stringify(localStorage)`); strings.Contains(at, tokenText) {
		p.t.Errorf("the token is kept where it does not belong: %s", at)
	}
}

// handOver has the master handed over by keys alone, and sees the steps.
func (p *tab) handOver(c *lab.Cluster, to config.Addr) {
	p.t.Helper()
	p.tabTo("Switch over")
	p.keys(kb.Enter)
	p.shows("#dialog-title", "Switch "+lab.MasterName+" over")
	p.await("the plan is there", `document.querySelector('#action .plan dd') !== null`)
	for range 4 { // the radio buttons are one stop, with arrows between them
		if strings.Contains(eval[string](p, `document.activeElement.closest('label')?.textContent ?? ''`), string(to)) {
			break
		}
		if eval[string](p, `document.activeElement.type ?? ''`) != "radio" {
			p.tabTo("the best replica")
		}
		p.keys(kb.ArrowDown)
	}
	p.shows("#action .plan", "it was asked for")
	p.shows("#action .plan", string(to))
	p.tabTo(fmt.Sprintf("Switch %s over to %s", lab.MasterName, to))
	p.keys(kb.Enter)
	p.shows("#action [role=status]", "Done in")
	for _, step := range []string{"begun", "promoting", "switched", "repointed", "ended"} {
		p.shows("#action .steps b", step)
	}
	p.escape()
	settle(p.t, c, to)
	p.shows(".server.master .addr", string(to))
	p.shows(".failover h4", "Switchover")
	p.shows(".failover .part.wait .length", "Clients waited")
}

// reads looks at the page as a screen reader does.
func (p *tab) reads(agent, master string) {
	p.t.Helper()
	var tree []string
	for _, n := range call(p, accessibility.GetFullAXTree, accessibility.GetFullAXTreeParams{}).Nodes {
		if n.Ignored || n.Role == nil {
			continue
		}
		role, name := text(n.Role), text(n.Name)
		tree = append(tree, role+" "+name)
		if slices.Contains([]string{"button", "link", "textbox", "searchbox", "checkbox", "radio", "combobox", "image", "dialog", "navigation", "complementary"}, role) && name == "" {
			p.t.Errorf("a %s has no name", role)
		}
	}
	for _, want := range []string{
		"banner ", "main ", "complementary Events", "heading Picket lab", "heading mymaster", "heading Topology", "heading Failovers", "heading Events",
		"group Actions on mymaster", "button Enter a token to act", "button Theme: system", "link Skip to the master", "list Events", "DisclosureTriangle The same as a table",
		"image mymaster. Master " + master + ": up, lease promised. Replicas: ",
	} {
		if !slices.ContainsFunc(tree, func(node string) bool { return strings.HasPrefix(node, want) }) {
			p.t.Errorf("who listens to the page finds no %q in:\n%s", want, strings.Join(tree, "\n"))
		}
	}
	p.click("figure + details summary")
	rows := eval[[]string](p, `[...document.querySelectorAll('.tables tbody tr')].map((r) => r.textContent)`)
	if len(rows) != 6 || !strings.Contains(rows[0], master) || !slices.ContainsFunc(rows, func(r string) bool { return strings.HasPrefix(r, agent) }) {
		p.t.Errorf("the picture as a table is %q", rows)
	}
	p.click("figure + details summary")
}

func text(v *accessibility.Value) string {
	if v == nil {
		return ""
	}
	var s string
	_ = json.Unmarshal(v.Value, &s) // what is no text has none
	return s
}

// rests: a page that nobody looks at asks nothing, and is up to date again when somebody does.
func (p *tab) rests() {
	p.t.Helper()
	hide := func(hidden bool) {
		eval[any](p, fmt.Sprintf(`Object.defineProperty(document, 'hidden', { value: %t, configurable: true }); document.dispatchEvent(new Event('visibilitychange'))`, hidden))
	}
	count := func() (statuses, streams int) {
		p.mu.Lock()
		defer p.mu.Unlock()
		return len(p.statuses), len(p.streams)
	}
	if _, streams := count(); streams != 1 {
		p.t.Errorf("%d streams of events are open", streams)
	}
	hide(true)
	p.shows("#connection", "resting")
	before, _ := count()
	ctx, cancel := context.WithTimeout(p.ctx, 4*time.Second) // in which a page that is looked at asks at least once
	<-ctx.Done()
	cancel()
	if statuses, streams := count(); statuses-before > 1 || streams != 0 { // one may have been under way
		p.t.Errorf("while nobody looked the page has asked %d times, and has %d streams of events", statuses-before, streams)
	}
	hide(false)
	p.shows("#connection", "live from")
}

// pictures takes those of the README.
func (p *tab) pictures() {
	if *screenshots == "" {
		return
	}
	p.do(chromedp.EmulateViewport(1280, 1340))
	eval[any](p, `document.activeElement.blur()`)
	for _, theme := range []string{"light", "dark"} {
		p.prefer(theme)
		ctx, cancel := p.limit()
		shot, err := chromedp.Run(ctx, chromedp.CaptureScreenshot())
		cancel()
		if err == nil {
			err = keep(filepath.Join(*screenshots, "dashboard-"+theme+".png"), shot)
		}
		if err != nil {
			p.t.Error(err)
		}
	}
	p.prefer("light")
	p.do(chromedp.EmulateViewport(1280, 900))
}

// keep writes a picture in few bytes: with as many colours as are seen, of which a calm page has few.
func keep(file string, shot []byte) error {
	picture, err := png.Decode(bytes.NewReader(shot))
	if err != nil {
		return err
	}
	counts := map[color.Color]int{}
	box := picture.Bounds()
	for y := box.Min.Y; y < box.Max.Y; y++ {
		for x := box.Min.X; x < box.Max.X; x++ {
			counts[picture.At(x, y)]++
		}
	}
	colors := slices.SortedFunc(maps.Keys(counts), func(a, b color.Color) int { return cmp.Compare(counts[b], counts[a]) })
	small := image.NewPaletted(box, color.Palette(colors[:min(len(colors), 256)]))
	draw.Draw(small, box, picture, box.Min, draw.Src)
	out := bytes.Buffer{}
	if err := (&png.Encoder{CompressionLevel: png.BestCompression}).Encode(&out, small); err != nil {
		return err
	}
	if out.Len() > 150<<10 {
		return fmt.Errorf("%s has %d KiB", file, out.Len()>>10)
	}
	return os.WriteFile(file, out.Bytes(), 0o644)
}
