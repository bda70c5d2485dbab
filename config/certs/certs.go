// Package certs makes TLS configurations of PEM files that may be replaced at any time. Connections that are made after a file has changed use what it says
// now; those that there are go on. A file that can't be read, or makes no sense, changes nothing: what it said before counts, and somebody is told, once.
//
// A file is looked at when a connection is made, and read only where it is another one than before. Links are followed, so that it may be replaced as
// Kubernetes does it.
package certs

import (
	"crypto/tls"
	"crypto/x509"
	"errors"
	"fmt"
	"sync"
	"time"

	"picket/config"
)

// Store knows the files. Many configurations may be made of the same ones. The zero value tells nobody; a Store must not be copied.
type Store struct {
	// Tell hears that a file was read again, or why what it said before still counts; nil: nobody does. It must not block.
	Tell func(file string, err error)

	mu    sync.Mutex
	pairs map[[2]string]*kept[*tls.Certificate] // of a certificate and its key
	pools map[string]*kept[*x509.CertPool]
}

func (s *Store) pair(cert, key string) *kept[*tls.Certificate] {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.pairs == nil {
		s.pairs = map[[2]string]*kept[*tls.Certificate]{}
	}
	files := [2]string{cert, key}
	if s.pairs[files] == nil {
		s.pairs[files] = &kept[*tls.Certificate]{paths: files[:], parse: parsePair, tell: s.tell}
	}
	return s.pairs[files]
}

func (s *Store) pool(ca string) *kept[*x509.CertPool] {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.pools == nil {
		s.pools = map[string]*kept[*x509.CertPool]{}
	}
	if s.pools[ca] == nil {
		s.pools[ca] = &kept[*x509.CertPool]{paths: []string{ca}, parse: parsePool, tell: s.tell}
	}
	return s.pools[ca]
}

func (s *Store) tell(file string, err error) {
	if s.Tell != nil {
		s.Tell(file, err)
	}
}

func parsePair(texts [][]byte) (*tls.Certificate, error) {
	pair, err := tls.X509KeyPair(texts[0], texts[1])
	return &pair, err
}

func parsePool(texts [][]byte) (*x509.CertPool, error) {
	pool := x509.NewCertPool()
	if !pool.AppendCertsFromPEM(texts[0]) {
		return nil, errors.New("holds no certificate in PEM")
	}
	return pool, nil
}

// Expiry is when the certificate of a file is not valid any more.
type Expiry struct {
	File  string
	Until time.Time
}

// Expiries tells it for each certificate that was used, in no particular order.
func (s *Store) Expiries() []Expiry {
	s.mu.Lock()
	defer s.mu.Unlock()
	var all []Expiry
	for files, pair := range s.pairs {
		if c, err := pair.now(); err == nil && c.Leaf != nil {
			all = append(all, Expiry{files[0], c.Leaf.NotAfter})
		}
	}
	return all
}

// Client is how to dial a host; the name that its certificate must bear is t.ServerName, where that is given. nil: without TLS. The store may be nil.
func (s *Store) Client(t config.TLS, host string) (*tls.Config, error) {
	if !t.Enabled {
		return nil, nil
	}
	if s == nil {
		s = &Store{}
	}
	if t.ServerName != "" {
		host = t.ServerName
	}
	cfg := &tls.Config{MinVersion: tls.VersionTLS12, ServerName: host}
	if t.CA != "" {
		pool := s.pool(t.CA)
		if _, err := pool.now(); err != nil {
			return nil, err
		}
		cfg.InsecureSkipVerify = true //nolint:gosec // it is verified, below, by the authorities that the file holds at that time
		cfg.VerifyConnection = func(c tls.ConnectionState) error { return verify(c, pool, host) }
	}
	if t.Cert != "" {
		pair := s.pair(t.Cert, t.Key)
		if _, err := pair.now(); err != nil {
			return nil, err
		}
		cfg.GetClientCertificate = func(*tls.CertificateRequestInfo) (*tls.Certificate, error) { return pair.now() }
	}
	return cfg, nil
}

// verify does what crypto/tls does where the authorities never change. A server without a certificate does not come so far.
func verify(c tls.ConnectionState, pool *kept[*x509.CertPool], host string) error {
	roots, err := pool.now()
	if err != nil {
		return err
	}
	options := x509.VerifyOptions{Roots: roots, DNSName: host, Intermediates: x509.NewCertPool()}
	for _, between := range c.PeerCertificates[1:] {
		options.Intermediates.AddCert(between)
	}
	if _, err := c.PeerCertificates[0].Verify(options); err != nil {
		return &tls.CertificateVerificationError{UnverifiedCertificates: c.PeerCertificates, Err: err}
	}
	return nil
}

// Server is how to listen. Sessions are not resumed: who has lost the right to connect can't go on with an old ticket.
func (s *Store) Server(t config.DoorTLS) (*tls.Config, error) {
	auth := tls.RequireAndVerifyClientCert
	switch t.AuthClients {
	case config.AuthClientsNo:
		auth = tls.NoClientCert
	case config.AuthClientsOptional:
		auth = tls.VerifyClientCertIfGiven
	}
	pair, pool := s.pair(t.Cert, t.Key), (*kept[*x509.CertPool])(nil)
	if auth != tls.NoClientCert {
		pool = s.pool(t.CA)
	}
	now := func() (*tls.Config, error) {
		cfg := &tls.Config{MinVersion: tls.VersionTLS12, ClientAuth: auth, SessionTicketsDisabled: true}
		own, err := pair.now()
		if err != nil {
			return nil, err
		}
		cfg.Certificates = []tls.Certificate{*own}
		if pool != nil {
			cfg.ClientCAs, err = pool.now()
		}
		return cfg, err
	}
	cfg, err := now()
	if err != nil {
		return nil, fmt.Errorf("listen with TLS: %w", err)
	}
	cfg.GetConfigForClient = func(hello *tls.ClientHelloInfo) (*tls.Config, error) {
		fresh, err := now()
		if err == nil {
			fresh.NextProtos = cfg.NextProtos // which net/http adds
		}
		return fresh, err
	}
	return cfg, nil
}
