package acceptance

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"testing"
	"time"

	"picket/sentinel/lab"
	"picket/sentinel/picture"
	"picket/sentinel/state"
)

// asking has all agents ask a program before a failover and before a switchover.
func asking(t *testing.T, script string, timeout time.Duration) (dir string, adjust func(*lab.ClusterOptions)) {
	t.Helper()
	dir = t.TempDir()
	program := filepath.Join(dir, "hook")
	if err := os.WriteFile(program, []byte("#!/bin/sh\ncd "+dir+"\n"+script), 0o700); err != nil {
		t.Fatal(err)
	}
	return dir, func(o *lab.ClusterOptions) {
		o.File = append(o.File, "hooks:", "  pre-failover: "+program, "  pre-switchover: "+program, "  timeout: "+timeout.String())
	}
}

// lines of a file that a program writes; none: it is not there yet.
func lines(t *testing.T, file string) []string {
	t.Helper()
	text, err := os.ReadFile(file)
	if err != nil && !errors.Is(err, os.ErrNotExist) {
		t.Fatal(err)
	}
	return strings.Fields(string(text))
}

// TestHook_AVetoHolds: a program forbids what is ordered, and then a failover. It is asked again after a while, no sooner, and nobody is elected
// meanwhile; an operator may pass it over.
func TestHook_AVetoHolds(t *testing.T) {
	t.Parallel()
	dir, adjust := asking(t, `echo "$PICKET_HOOK:$PICKET_MASTER:$PICKET_FROM:$PICKET_CAUSE:$1:$2:$3:$(date +%s%N)" >> asked
echo "the backup $PICKET_HOOK runs" >&2; exit 3`, 5*time.Second)
	_, c := start(t, adjust)
	old, asked := c.Redis[0], filepath.Join(dir, "asked")
	out, err := c.Agents[0].Run(t.Context(), "switchover", lab.MasterName)
	if err == nil || !strings.Contains(err.Error(), "the backup pre-switchover runs") || !strings.Contains(err.Error(), "--ignore-hooks") {
		t.Fatalf("the switchover: %v\n%s", err, out)
	}
	old.Kill()
	vetoed := func(ctx context.Context) (p picture.Picture, err error) {
		for _, a := range c.Agents {
			if p, err = a.Status(ctx); err != nil {
				return p, err
			}
			if b := p.Masters[0].Blocker; b == nil || b.Reason != "vetoed" || !strings.Contains(b.Text, "code 3: the backup pre-failover runs") {
				return p, fmt.Errorf("%s: blocked by %+v", a.ID, b)
			}
		}
		return p, nil
	}
	var before, after picture.Picture
	for _, look := range []struct {
		what string
		runs int
		into *picture.Picture
	}{{"all agents know of the veto", 2, &before}, {"the program is asked again", 3, &after}} {
		if err := lab.Await(patience, look.what, func(ctx context.Context) (err error) {
			if n := len(lines(t, asked)); n < look.runs {
				return fmt.Errorf("it was asked %d times", n)
			}
			*look.into, err = vetoed(ctx)
			return err
		}); err != nil {
			t.Fatal(err)
		}
	}
	if before.Epoch != after.Epoch || after.Masters[0].Server.Addr != old.Addr {
		t.Errorf("in epoch %d, then %d, the master is %s", before.Epoch, after.Epoch, after.Masters[0].Server.Addr)
	}
	told := 0
	for _, e := range after.Events {
		if e.Type == state.FailoverVetoed {
			told++
		}
	}
	if told != 1 {
		t.Errorf("the same veto was told %d times", told)
	}
	var times []int64
	for i, line := range lines(t, asked) {
		hook, cause := "pre-failover", "master-down"
		if i == 0 {
			hook, cause = "pre-switchover", "manual"
		}
		said, at := line[:strings.LastIndex(line, ":")], line[strings.LastIndex(line, ":")+1:]
		if want := strings.Join([]string{hook, lab.MasterName, string(old.Addr), cause, hook, lab.MasterName, string(old.Addr)}, ":"); said != want {
			t.Errorf("it was asked %s, want %s", said, want)
		}
		when, err := strconv.ParseInt(at, 10, 64)
		if err != nil {
			t.Fatal(err)
		}
		times = append(times, when)
	}
	if pause := time.Duration(times[2] - times[1]); pause < 4*time.Second {
		t.Errorf("it was asked again after %s", pause)
	}
	if _, err := c.Agents[1].Run(t.Context(), "failover", lab.MasterName, "--ignore-hooks"); err != nil {
		t.Fatal(err)
	}
	newMaster(t, c, old.Addr)
}

// TestHook_TheLeaderDiesWhileItAsks: the next leader asks anew. Its program takes too long, is ended, and the failover goes on.
func TestHook_TheLeaderDiesWhileItAsks(t *testing.T) {
	t.Parallel()
	dir, adjust := asking(t, `echo $PICKET_AGENT >> asked
while kill -0 $PPID 2>/dev/null; do sleep 0.05; done`, 3*time.Second)
	_, c := start(t, adjust)
	old, asked := c.Redis[0], filepath.Join(dir, "asked")
	old.Kill()
	if err := lab.Await(patience, "the program is asked", func(context.Context) error {
		if len(lines(t, asked)) == 0 {
			return errors.New("it is not")
		}
		return nil
	}); err != nil {
		t.Fatal(err)
	}
	first := lines(t, asked)[0]
	for _, a := range c.Agents {
		if a.ID == first {
			a.Kill()
		}
	}
	newMaster(t, c, old.Addr)
	if all := lines(t, asked); len(all) < 2 || all[len(all)-1] == first {
		t.Errorf("%v were asked", all)
	}
}

// TestHook_OneMasterDiesWhileTheProgramIsAskedForAnother: it takes longer than many elections, and every election ends what is asked in the term before. Both are failed over nevertheless.
func TestHook_OneMasterDiesWhileTheProgramIsAskedForAnother(t *testing.T) {
	t.Parallel()
	dir, adjust := asking(t, `echo $PICKET_MASTER >> asked
exec sleep 2`, 10*time.Second)
	l, c := start(t, func(o *lab.ClusterOptions) {
		adjust(o)
		o.LeastPrivilege = false
	})
	second, err := l.StartRedis(lab.RedisOptions{})
	if err != nil {
		t.Fatal(err)
	}
	replica, err := l.StartRedis(lab.RedisOptions{ReplicaOf: second.Addr})
	if err != nil {
		t.Fatal(err)
	}
	if got := say(t, c.Agents[0], "SENTINEL", "MONITOR", "second", second.Addr.Host(), fmt.Sprint(second.Addr.Port()), "2"); got != "OK" {
		t.Fatal(got)
	}
	master := func(ctx context.Context, name string) (m map[string]string, err error) {
		for _, a := range c.Agents {
			if m, err = sentinelClient(t, a).Master(ctx, name).Result(); err != nil {
				break
			}
		}
		return m, err
	}
	if err := lab.Await(patience, "the replica is known", func(ctx context.Context) error {
		m, err := master(ctx, "second")
		if err == nil && m["num-slaves"] != "1" {
			err = fmt.Errorf("%s are", m["num-slaves"])
		}
		return err
	}); err != nil {
		t.Fatal(err)
	}
	old := c.Redis[0]
	old.Kill()
	if err := lab.Await(patience, "the program is asked", func(context.Context) error {
		if len(lines(t, filepath.Join(dir, "asked"))) == 0 {
			return errors.New("it is not")
		}
		return nil
	}); err != nil {
		t.Fatal(err)
	}
	second.Kill()
	if err := lab.Await(patience, "both are failed over", func(ctx context.Context) error {
		first, err := master(ctx, lab.MasterName)
		if err != nil {
			return err
		}
		other, err := master(ctx, "second")
		if err == nil && (first["port"] == fmt.Sprint(old.Addr.Port()) || other["port"] != fmt.Sprint(replica.Addr.Port())) {
			err = fmt.Errorf("the masters are at %s and %s", first["port"], other["port"])
		}
		return err
	}); err != nil {
		t.Error(err)
	}
	asked := lines(t, filepath.Join(dir, "asked"))
	t.Logf("asked: %v", asked)
	if len(asked) > 8 {
		t.Errorf("it was asked %d times", len(asked))
	}
}

// TestHook_TheMasterDiesWhileASwitchoverIsAskedFor: what has allowed a switchover has not allowed a failover.
func TestHook_TheMasterDiesWhileASwitchoverIsAskedFor(t *testing.T) {
	t.Parallel()
	dir, adjust := asking(t, `echo $1 >> asked
[ $1 = pre-failover ] && echo "no failover today" && exit 1
while ! [ -e dead ]; do sleep 0.05; done`, 10*time.Second)
	_, c := start(t, adjust)
	old, asked := c.Redis[0], filepath.Join(dir, "asked")
	ordered := make(chan error, 1)
	go func() { // ends with the program, or its time
		_, err := c.Agents[0].Run(t.Context(), "failover", lab.MasterName)
		ordered <- err
	}()
	await := func(what, hook string) {
		t.Helper()
		if err := lab.Await(patience, what, func(context.Context) error {
			if !strings.Contains(strings.Join(lines(t, asked), " "), hook) {
				return errors.New("it is not")
			}
			return nil
		}); err != nil {
			t.Fatal(err)
		}
	}
	await("it is asked for the switchover", "pre-switchover")
	old.Kill()
	await("it is asked for the failover", "pre-failover")
	if err := os.WriteFile(filepath.Join(dir, "dead"), nil, 0o600); err != nil {
		t.Fatal(err)
	}
	if err := <-ordered; err == nil || !strings.Contains(err.Error(), "no failover today") {
		t.Errorf("the order: %v", err)
	}
	p, err := c.Agents[1].Status(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	if m := p.Masters[0]; m.Server.Addr != old.Addr {
		t.Errorf("the master is %s", m.Server.Addr)
	}
}
