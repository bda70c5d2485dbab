package sentinel

import (
	"bytes"
	"crypto/tls"
	"errors"
	"fmt"

	"picket/config"
	"picket/config/certs"
	"picket/consensus/tcp"
)

// peerTLS is how agents prove to each other who they are; nil: not at all.
func peerTLS(t config.TLS, files *certs.Store) (*tcp.TLS, error) {
	if !t.Enabled {
		return nil, nil
	}
	server, err := files.Server(config.DoorTLS{Cert: t.Cert, Key: t.Key, CA: t.CA, AuthClients: config.AuthClientsYes})
	if err == nil {
		_, err = files.Client(t, "")
	}
	if err != nil {
		return nil, fmt.Errorf("peer-tls: %w", err)
	}
	client := func(host string) *tls.Config {
		cfg, _ := files.Client(t, host) // the files made sense before
		return cfg
	}
	return &tcp.TLS{Server: server, Client: client}, nil
}

// doorTLS is how the Sentinel port speaks TLS; nil: there is no such port.
func doorTLS(cfg *config.Config, files *certs.Store) (*tls.Config, error) {
	if cfg.Listen.SentinelTLS == "" {
		return nil, nil
	}
	out, err := files.Server(cfg.Sentinel.TLS)
	if err != nil {
		return nil, fmt.Errorf("sentinel.tls: %w", err)
	}
	return out, nil
}

// httpTLS is how the HTTP port speaks TLS; nil: without.
func httpTLS(cfg *config.Config, files *certs.Store) (*tls.Config, error) {
	if cfg.HTTP.TLS.Cert == "" {
		return nil, nil
	}
	t, err := files.Server(cfg.HTTP.TLS)
	if err != nil {
		return nil, fmt.Errorf("http.tls: %w", err)
	}
	return t, nil
}

// OwnDoor is how this host's commands talk to its own agent's HTTP port with TLS: they know its certificate, and have no other to show.
func OwnDoor(cfg *config.Config) (*tls.Config, error) {
	pair, err := tls.LoadX509KeyPair(cfg.HTTP.TLS.Cert, cfg.HTTP.TLS.Key)
	if err != nil {
		return nil, fmt.Errorf("http.tls: %w", err)
	}
	return &tls.Config{
		Certificates: []tls.Certificate{pair}, MinVersion: tls.VersionTLS12,
		InsecureSkipVerify: true, //nolint:gosec // what is dialled may not be what the certificate names: the certificate itself is compared
		VerifyConnection: func(s tls.ConnectionState) error {
			if len(s.PeerCertificates) == 0 || !bytes.Equal(s.PeerCertificates[0].Raw, pair.Certificate[0]) {
				return errors.New("who answers does not have the certificate of http.tls; is this agent's file the right one, and has the agent read it again?")
			}
			return nil
		},
	}, nil
}
