package certs

import (
	"bytes"
	"fmt"
	"os"
	"slices"
	"sync"
	"time"

	"picket/config"
)

const (
	// maxFile bounds what is read of a file.
	maxFile = 1 << 20
	// settled is how old a file must be for its time to tell whether it was written again: clocks of file systems are coarse.
	settled = time.Second
)

// kept is what some files together say, as it was when they last made sense.
type kept[T any] struct {
	paths []string
	parse func(texts [][]byte) (T, error)
	tell  func(file string, err error)

	mu    sync.Mutex
	seen  []os.FileInfo // of the files as they were last read; nil: they must be read
	texts [][]byte      // that value was made of; nil: none yet
	value T
	said  string // why they were not taken last time, so that it is told once
}

// now gives it. There is an error only where the files never made sense.
func (k *kept[T]) now() (T, error) {
	k.mu.Lock()
	defer k.mu.Unlock()
	infos, err := k.look()
	if err == nil && k.same(infos) {
		return k.value, nil
	}
	k.seen = nil
	if err == nil {
		err = k.read(infos)
	}
	if err == nil {
		k.said = ""
		return k.value, nil
	}
	if k.texts == nil {
		return k.value, err
	}
	if err.Error() != k.said {
		k.said = err.Error()
		k.tell(k.paths[0], err)
	}
	return k.value, nil
}

func (k *kept[T]) look() ([]os.FileInfo, error) {
	infos := make([]os.FileInfo, len(k.paths))
	for i, path := range k.paths {
		var err error
		if infos[i], err = os.Stat(path); err != nil {
			return nil, err
		}
	}
	return infos, nil
}

// same says whether the files are those that were read.
func (k *kept[T]) same(infos []os.FileInfo) bool {
	return k.seen != nil && slices.EqualFunc(infos, k.seen, func(a, b os.FileInfo) bool {
		return os.SameFile(a, b) && a.ModTime().Equal(b.ModTime()) && a.Size() == b.Size()
	})
}

func (k *kept[T]) read(infos []os.FileInfo) error {
	texts := make([][]byte, len(k.paths))
	for i, path := range k.paths {
		var err error
		if texts[i], err = config.ReadFile(path, maxFile); err != nil {
			return err
		}
	}
	if !slices.EqualFunc(texts, k.texts, bytes.Equal) {
		value, err := k.parse(texts)
		if err != nil {
			return fmt.Errorf("%s: %w", k.paths[0], err)
		}
		anew := k.texts != nil
		k.texts, k.value = texts, value
		if anew {
			k.tell(k.paths[0], nil)
		}
	}
	if !slices.ContainsFunc(infos, func(i os.FileInfo) bool { return time.Since(i.ModTime()) < settled }) {
		k.seen = infos
	}
	return nil
}
