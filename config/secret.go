package config

import (
	"encoding/base64"
	"errors"
	"fmt"
	"io"
	"os"
	"strings"
)

// Secret is text that must never be printed: every formatting verb and encoder shows stars. To use it,
// convert it to a string.
type Secret string

const stars = "********"

// String shows stars.
func (s Secret) String() string {
	if s == "" {
		return ""
	}
	return stars
}

// Format shows stars, whatever the verb.
func (s Secret) Format(f fmt.State, _ rune) { _, _ = io.WriteString(f, s.String()) } // fmt has nowhere to report an error

// MarshalText shows stars; encoding/json and others use it.
func (s Secret) MarshalText() ([]byte, error) { return []byte(s.String()), nil }

// maxSecret bounds a secret's file.
const maxSecret = 64 << 10

// ReadSecret reads a secret from its file. One line ending at the end does not belong to it.
func ReadSecret(path string) (Secret, error) {
	data, err := ReadFile(path, maxSecret)
	if err != nil {
		return "", err
	}
	text := strings.TrimSuffix(strings.TrimSuffix(string(data), "\n"), "\r")
	if text == "" {
		return "", fmt.Errorf("%s is empty", path)
	}
	return Secret(text), nil
}

// ReadFile reads a file that may hold at most limit bytes. Errors name the file.
func ReadFile(path string, limit int64) ([]byte, error) {
	file, err := os.Open(path)
	if err != nil {
		return nil, err
	}
	defer func() { _ = file.Close() }() // it was only read
	data, err := io.ReadAll(io.LimitReader(file, limit+1))
	if err != nil {
		return nil, err
	}
	if int64(len(data)) > limit {
		return nil, fmt.Errorf("%s is larger than %d KiB", path, limit>>10)
	}
	return data, nil
}

// signingKeyPrefix starts a webhook's secret, as the Standard Webhooks specification has it.
const signingKeyPrefix = "whsec_"

// SigningKeys are the keys that a webhook's secrets encode: the present one, and the next one while they are exchanged.
func (w Webhook) SigningKeys() ([][]byte, error) {
	var keys [][]byte
	for _, secret := range []Secret{w.Secret, w.SecretNext} {
		if secret == "" {
			continue
		}
		key, err := secret.signingKey()
		if err != nil {
			return nil, err
		}
		keys = append(keys, key)
	}
	return keys, nil
}

func (s Secret) signingKey() ([]byte, error) {
	text, ok := strings.CutPrefix(string(s), signingKeyPrefix)
	if !ok {
		return nil, errors.New("does not start with " + signingKeyPrefix)
	}
	key, err := base64.StdEncoding.DecodeString(text)
	if err != nil {
		return nil, errors.New("is not base64 after " + signingKeyPrefix) // the reason would quote the secret
	}
	if len(key) < 24 || len(key) > 64 {
		return nil, fmt.Errorf("encodes %d bytes, not 24 to 64", len(key))
	}
	return key, nil
}
