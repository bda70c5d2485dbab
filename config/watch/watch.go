// Package watch notices that files say something else than before: by what the system tells of their directories, and by looking from time to time, because
// some file systems tell nothing. What counts is the contents: a file that is written again as it was is none that has changed.
package watch

import (
	"context"
	"crypto/sha256"
	"io"
	"os"
	"path/filepath"
	"time"

	"github.com/fsnotify/fsnotify"
)

const (
	// quiet is how long nothing must have happened: whoever replaces several files does so one after the other.
	quiet = 200 * time.Millisecond
	// patience is how long it is waited for that at most.
	patience = 2 * time.Second
	// period is how often files are looked at in any case.
	period = 30 * time.Second
	// maxFile bounds what is read of a file.
	maxFile = 4 << 20
)

// Watcher watches files.
type Watcher struct {
	files  func() []string
	notify *fsnotify.Watcher // nil: there is none
	events <-chan fsnotify.Event
	last   [sha256.Size]byte
}

// Files watches files from now on. Which ones there are is asked each time. Links are followed, also when they are made to point elsewhere, and a file may
// be missing. Run must be called.
func Files(files func() []string) *Watcher {
	w := &Watcher{files: files}
	if notify, err := fsnotify.NewWatcher(); err == nil { // else there are too many on this host already: files are looked at only
		w.notify, w.events = notify, notify.Events
	}
	w.follow()
	w.last = w.contents()
	return w
}

// Run calls changed whenever any of the files says something else than before, until ctx ends; changed may take its time.
func (w *Watcher) Run(ctx context.Context, changed func()) {
	if w.notify != nil {
		defer func() { _ = w.notify.Close() }() // nothing was written
		go func() {                             // ends with the watcher
			for range w.notify.Errors { // a lost event is made good by looking
			}
		}()
	}
	for w.wait(ctx) {
		w.follow()
		if now := w.contents(); now != w.last {
			w.last = now
			changed()
		}
	}
}

// follow watches the directories in which something must happen when a file is replaced: where its name is, where it is, and those of the links between.
func (w *Watcher) follow() {
	if w.notify == nil {
		return
	}
	wanted := map[string]bool{}
	for _, path := range w.files() {
		for range 8 { // links; more are not followed, only looked at
			if dir, err := filepath.EvalSymlinks(filepath.Dir(path)); err == nil { // one that is missing can't be watched
				wanted[dir] = true
			}
			to, err := os.Readlink(path)
			if err != nil {
				break
			}
			if !filepath.IsAbs(to) {
				to = filepath.Join(filepath.Dir(path), to)
			}
			path = to
		}
	}
	for _, d := range w.notify.WatchList() {
		if !wanted[d] {
			_ = w.notify.Remove(d) // it may be gone
		}
	}
	for d := range wanted {
		_ = w.notify.Add(d) // again, too: another one may have its name now; where it can't be, its files are looked at only
	}
}

// wait returns true when it is time to look.
func (w *Watcher) wait(ctx context.Context) bool {
	timer := time.NewTimer(period)
	defer timer.Stop()
	var first time.Time // when something happened
	for {
		select {
		case <-ctx.Done():
			return false
		case <-timer.C:
			return true
		case <-w.events:
		}
		if first.IsZero() {
			first = time.Now()
		}
		timer.Reset(min(quiet, patience-time.Since(first)))
	}
}

// contents is a sum of what the files say.
func (w *Watcher) contents() [sha256.Size]byte {
	sum := sha256.New()
	for _, path := range w.files() {
		part := sha256.New()
		_, _ = io.WriteString(sum, path)
		if file, err := os.Open(path); err == nil {
			_, err = io.Copy(part, io.LimitReader(file, maxFile))
			_ = file.Close() // it was only read
			if err == nil {
				sum.Write(part.Sum(nil))
				continue
			}
		}
		_, _ = io.WriteString(sum, "can't be read")
	}
	return [sha256.Size]byte(sum.Sum(nil))
}
