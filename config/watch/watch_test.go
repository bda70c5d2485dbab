package watch

import (
	"context"
	"os"
	"path/filepath"
	"testing"
	"time"

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
