package sentinel

import (
	"bytes"
	"strings"
	"testing"

	"github.com/rs/zerolog"
)

// TestVolume: how much is logged can be changed in both directions, and is taken back.
func TestVolume(t *testing.T) {
	var out bytes.Buffer
	v := newVolume("info")
	log := zerolog.New(&out).Level(zerolog.DebugLevel).Hook(v)
	for _, c := range []struct{ word, want string }{
		{"", "info warn"}, {"debug", "debug info warn"}, {"verbose", "debug info warn"}, {"notice", "info warn"}, {"warning", "warn"}, {"nothing", ""}, {"", "info warn"},
	} {
		v.set(c.word)
		out.Reset()
		log.Debug().Msg("")
		log.Info().Msg("")
		log.Warn().Msg("")
		var said []string
		for line := range strings.Lines(out.String()) {
			said = append(said, strings.Split(line, `"`)[3])
		}
		if got := strings.Join(said, " "); got != c.want {
			t.Errorf("%s: %s, want %s", c.word, got, c.want)
		}
	}
	for level, want := range map[zerolog.Level]string{
		zerolog.DebugLevel: "debug", zerolog.InfoLevel: "notice", zerolog.WarnLevel: "warning", zerolog.ErrorLevel: "warning", zerolog.Disabled: "nothing",
	} {
		if got := levelWord(level); got != want {
			t.Errorf("%s is %s, want %s", level, got, want)
		}
	}
}
