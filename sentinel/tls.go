package sentinel

import (
	"bytes"
	"crypto/tls"
	"crypto/x509"
	"errors"
	"fmt"
	"os"

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

// doorTLS reads the files of the Sentinel port with TLS; nil: there is no such port.
func doorTLS(cfg *config.Config) (*tls.Config, error) {
	if cfg.Listen.SentinelTLS == "" {
		return nil, nil
	}
	t := cfg.Sentinel.TLS
	pair, err := doorPair(t)
	if err != nil {
		return nil, err
	}
	out := &tls.Config{Certificates: []tls.Certificate{pair}, MinVersion: tls.VersionTLS12}
	switch t.AuthClients {
	case config.AuthClientsNo:
		return out, nil
	case config.AuthClientsOptional:
		out.ClientAuth = tls.VerifyClientCertIfGiven
	default:
		out.ClientAuth = tls.RequireAndVerifyClientCert
	}
	pem, err := os.ReadFile(t.CA)
	if err != nil {
		return nil, fmt.Errorf("sentinel.tls: %w", err)
	}
	out.ClientCAs = x509.NewCertPool()
	if !out.ClientCAs.AppendCertsFromPEM(pem) {
		return nil, fmt.Errorf("sentinel.tls: %s holds no certificate in PEM", t.CA)
	}
	return out, nil
}

func doorPair(t config.DoorTLS) (tls.Certificate, error) {
	pair, err := tls.LoadX509KeyPair(t.Cert, t.Key)
	if err != nil {
		return pair, fmt.Errorf("sentinel.tls: %w", err)
	}
	return pair, nil
}

// OwnDoor is how this host's commands talk to its own agent's Sentinel port with TLS: they know its certificate, and have no other to show.
func OwnDoor(cfg *config.Config) (*tls.Config, error) {
	pair, err := doorPair(cfg.Sentinel.TLS)
	if err != nil {
		return nil, err
	}
	return &tls.Config{
		Certificates: []tls.Certificate{pair}, MinVersion: tls.VersionTLS12,
		InsecureSkipVerify: true, //nolint:gosec // what is dialled may not be what the certificate names: the certificate itself is compared
		VerifyConnection: func(s tls.ConnectionState) error {
			if len(s.PeerCertificates) == 0 || !bytes.Equal(s.PeerCertificates[0].Raw, pair.Certificate[0]) {
				return errors.New("who answers does not have the certificate of sentinel.tls; is this agent's file the right one, and was the agent restarted since it changed?")
			}
			return nil
		},
	}, nil
}
