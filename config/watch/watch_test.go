package watch

import (
	"context"
	"os"
	"path/filepath"
	"slices"
	"testing"
	"testing/synctest"
	"time"

	"github.com/fsnotify/fsnotify"
	"go.uber.org/goleak"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

func put(t *testing.T, path, text string) {
	t.Helper()
	if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
}

// start watches files, and tells each change.
func start(t *testing.T, files ...string) <-chan struct{} {
	t.Helper()
	ctx, cancel := context.WithCancel(context.Background())
	changes := make(chan struct{}, 16)
	ended := make(chan struct{})
	w := Files(func() []string { return files })
	go func() {
		defer close(ended)
		w.Run(ctx, func() { changes <- struct{}{} })
	}()
	t.Cleanup(func() {
		cancel()
		<-ended
		if n := len(changes); n > 0 {
			t.Errorf("%d changes more than there were", n)
		}
	})
	return changes
}

func await(t *testing.T, what string, changes <-chan struct{}) {
	t.Helper()
	select {
	case <-changes:
	case <-time.After(20 * time.Second):
		t.Fatal("not " + what)
	}
}

func TestFiles(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	config, secret := filepath.Join(dir, "picket.yaml"), filepath.Join(dir, "secrets", "password")
	if err := os.Mkdir(filepath.Dir(secret), 0o700); err != nil {
		t.Fatal(err)
	}
	put(t, config, "one")
	changes := start(t, config, secret)

	put(t, config, "two")
	await(t, "noticed that it was written", changes)
	put(t, secret, "s")
	await(t, "noticed that a missing one came", changes)
	put(t, config+".new", "three")
	if err := os.Rename(config+".new", config); err != nil {
		t.Fatal(err)
	}
	await(t, "noticed that it was replaced", changes)
	put(t, config, "three") // as it is
	put(t, config+"~", "another file")
	put(t, secret, "t")
	await(t, "noticed the secret", changes)
	if err := os.Remove(config); err != nil {
		t.Fatal(err)
	}
	await(t, "noticed that it is gone", changes)
}

// TestFiles_AsKubernetesReplacesThem: the file is a link into a directory that is a link, which is made to point elsewhere.
func TestFiles_AsKubernetesReplacesThem(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	swap := func(to, text string) {
		t.Helper()
		if err := os.Mkdir(filepath.Join(dir, to), 0o700); err != nil {
			t.Fatal(err)
		}
		put(t, filepath.Join(dir, to, "picket.yaml"), text)
		if err := os.Symlink(to, filepath.Join(dir, "..data_tmp")); err != nil {
			t.Fatal(err)
		}
		if err := os.Rename(filepath.Join(dir, "..data_tmp"), filepath.Join(dir, "..data")); err != nil {
			t.Fatal(err)
		}
	}
	swap("..1", "one")
	path := filepath.Join(dir, "picket.yaml")
	if err := os.Symlink("..data/picket.yaml", path); err != nil {
		t.Fatal(err)
	}
	changes := start(t, path)
	swap("..2", "two")
	if err := os.RemoveAll(filepath.Join(dir, "..1")); err != nil {
		t.Fatal(err)
	}
	await(t, "noticed", changes)
	swap("..3", "three")
	await(t, "noticed again", changes)
}

// TestFiles_LinksElsewhere: the file is a link to a link to a file, each in another directory, and the last one is written.
func TestFiles_LinksElsewhere(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	for _, d := range []string{"a", "b", "c"} {
		if err := os.Mkdir(filepath.Join(dir, d), 0o700); err != nil {
			t.Fatal(err)
		}
	}
	path := filepath.Join(dir, "a", "link")
	for from, to := range map[string]string{path: "../b/link", filepath.Join(dir, "b", "link"): "../c/file"} {
		if err := os.Symlink(to, from); err != nil {
			t.Fatal(err)
		}
	}
	changes := start(t, path)
	put(t, filepath.Join(dir, "c", "file"), "one")
	await(t, "noticed", changes)
}

// TestFollow: a directory that holds none of the files any more is not watched.
func TestFollow(t *testing.T) {
	dir, err := filepath.EvalSymlinks(t.TempDir())
	if err != nil {
		t.Fatal(err)
	}
	file := filepath.Join(dir, "gone")
	if err := os.Mkdir(filepath.Join(dir, "sub"), 0o700); err != nil {
		t.Fatal(err)
	}
	w := Files(func() []string { return []string{file} })
	if w.notify == nil {
		t.Skip("this host has no instance of inotify left")
	}
	defer w.notify.Close()
	file = filepath.Join(dir, "sub", "file")
	w.follow()
	if watched := w.notify.WatchList(); !slices.Equal(watched, []string{filepath.Dir(file)}) {
		t.Errorf("%q are watched", watched)
	}
}

// TestRun_LooksOnly: where nothing tells of directories, files are looked at from time to time.
func TestRun_LooksOnly(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		path := filepath.Join(t.TempDir(), "file")
		w := &Watcher{files: func() []string { return []string{path} }}
		w.last = w.contents()
		changes := 0
		go w.Run(t.Context(), func() { changes++ })
		time.Sleep(period / 2) // nothing is written while it is looked at
		for _, text := range []string{"one", "two", "two"} {
			put(t, path, text)
			time.Sleep(period)
		}
		synctest.Wait()
		if changes != 2 {
			t.Errorf("%d changes", changes)
		}
	})
}

// TestWait: it is time to look when nothing has happened for a while, but things that go on happening don't put it off for ever.
func TestWait(t *testing.T) {
	for events, want := range map[int]time.Duration{0: period, 1: quiet, 3: quiet/2*2 + quiet, 1000: patience} {
		synctest.Test(t, func(t *testing.T) {
			happen := make(chan fsnotify.Event)
			go func() {
				for i := range events {
					if i > 0 {
						time.Sleep(quiet / 2)
					}
					select {
					case happen <- fsnotify.Event{}:
					case <-t.Context().Done():
						return
					}
				}
			}()
			start := time.Now()
			if w := (&Watcher{events: happen}); !w.wait(t.Context()) {
				t.Error("it is over")
			}
			if waited := time.Since(start); waited != want {
				t.Errorf("%d events: waits %v, want %v", events, waited, want)
			}
		})
	}
}
