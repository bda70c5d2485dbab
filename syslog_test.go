package main

import (
	"slices"
	"testing"

	"github.com/rs/zerolog"
)

// heard notes what the system's log is told.
type heard struct{ lines []string }

func (h *heard) note(level, text string) error {
	h.lines = append(h.lines, level+" "+text)
	return nil
}

func (h *heard) Debug(text string) error   { return h.note("debug", text) }
func (h *heard) Info(text string) error    { return h.note("info", text) }
func (h *heard) Warning(text string) error { return h.note("warning", text) }
func (h *heard) Err(text string) error     { return h.note("err", text) }

func TestSystemLog_HasTheLevelsAndNoTime(t *testing.T) {
	h := &heard{}
	log := zerolog.New(zerolog.MultiLevelWriter(systemLog{h})).With().Timestamp().Logger()
	log.Debug().Msg("one")
	log.Info().Str("master", "m").Msg("two words")
	log.Warn().Msg("three")
	log.Error().Msg("four")
	log.Log().Msg("five")
	want := []string{"debug one", "info two words master=m", "warning three", "err four", "err five"}
	if !slices.Equal(h.lines, want) {
		t.Errorf("got %q, want %q", h.lines, want)
	}
}
