package sentinel

import (
	"crypto/tls"
	"fmt"

	"picket/config"
	"picket/monitor"
)

// peerTLS reads the files with which agents prove to each other who they are; nil: no TLS.
func peerTLS(t config.TLS) (*tls.Config, error) {
	opts, err := monitor.RedisOptions(&config.Master{TLS: t}, "")
	if err != nil {
		return nil, fmt.Errorf("peer-tls: %w", err)
	}
	return opts.TLSConfig, nil
}
