package main

import (
	"io"
	"log/syslog"
	"strings"

	"github.com/rs/zerolog"

	"picket/config/sentinelconf"
)

// facilities are those that Redis Sentinel knows.
var facilities = map[string]syslog.Priority{
	"user": syslog.LOG_USER, "local0": syslog.LOG_LOCAL0, "local1": syslog.LOG_LOCAL1, "local2": syslog.LOG_LOCAL2, "local3": syslog.LOG_LOCAL3,
	"local4": syslog.LOG_LOCAL4, "local5": syslog.LOG_LOCAL5, "local6": syslog.LOG_LOCAL6, "local7": syslog.LOG_LOCAL7,
}

// alsoToSyslog has a logger tell the system's log, too. Where that can't be reached the log says so, and goes on alone.
func alsoToSyslog(log zerolog.Logger, own io.Writer, s sentinelconf.Syslog) zerolog.Logger {
	system, err := syslog.New(facilities[s.Facility]|syslog.LOG_INFO, s.Ident)
	if err != nil {
		log.Warn().Err(err).Msg("the system's log is not told")
		return log
	}
	return log.Output(zerolog.MultiLevelWriter(own, systemLog{system}))
}

// levels is what the system's log is told by.
type levels interface {
	Debug(text string) error
	Info(text string) error
	Warning(text string) error
	Err(text string) error
}

// systemLog gives the system's log a line as people read it; it adds time and level itself.
type systemLog struct{ to levels }

func (s systemLog) Write(line []byte) (int, error) { return s.WriteLevel(zerolog.InfoLevel, line) }

func (s systemLog) WriteLevel(level zerolog.Level, line []byte) (int, error) {
	var text strings.Builder
	console := zerolog.ConsoleWriter{Out: &text, NoColor: true, PartsExclude: []string{zerolog.TimestampFieldName, zerolog.LevelFieldName}}
	if _, err := console.Write(line); err != nil {
		return 0, err
	}
	tell := s.to.Err
	switch level {
	case zerolog.TraceLevel, zerolog.DebugLevel:
		tell = s.to.Debug
	case zerolog.InfoLevel:
		tell = s.to.Info
	case zerolog.WarnLevel:
		tell = s.to.Warning
	}
	return len(line), tell(strings.TrimSpace(text.String()))
}
