package sentinel

import (
	"sync/atomic"

	"github.com/rs/zerolog"
)

// logLevel is the parameter of SENTINEL CONFIG that says how much an agent logs.
const logLevel = "loglevel"

// logLevels are Sentinel's words for them. Two of them mean the same here.
var logLevels = map[string]zerolog.Level{
	"debug": zerolog.DebugLevel, "verbose": zerolog.DebugLevel, "notice": zerolog.InfoLevel, "warning": zerolog.WarnLevel, "nothing": zerolog.Disabled,
}

// levelWord is Sentinel's word for a level.
func levelWord(l zerolog.Level) string {
	switch {
	case l <= zerolog.DebugLevel:
		return "debug"
	case l == zerolog.InfoLevel:
		return "notice"
	case l == zerolog.Disabled:
		return "nothing"
	}
	return "warning"
}

// volume is how much is logged; it can be changed while the agent runs.
type volume struct {
	file atomic.Int32 // as the file says
	now  atomic.Int32
}

func newVolume(file string) *volume {
	v := &volume{}
	v.follow(file)
	v.set("")
	return v
}

// follow notes what the file says. The configuration was validated; be loud rather than silent.
func (v *volume) follow(file string) {
	level, err := zerolog.ParseLevel(file)
	if err != nil || level == zerolog.NoLevel {
		level = zerolog.InfoLevel
	}
	v.file.Store(int32(level))
}

// level is what the file says.
func (v *volume) level() zerolog.Level { return zerolog.Level(v.file.Load()) } //nolint:gosec // one of zerolog's few

// set changes it; without a word, back to what the file says.
func (v *volume) set(word string) {
	level, known := logLevels[word]
	if !known {
		level = v.level()
	}
	v.now.Store(int32(level))
}

// Run implements zerolog.Hook.
func (v *volume) Run(e *zerolog.Event, level zerolog.Level, _ string) {
	if level < zerolog.Level(v.now.Load()) { //nolint:gosec // one of zerolog's few
		e.Discard()
	}
}
