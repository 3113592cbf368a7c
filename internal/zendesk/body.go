package zendesk

import (
	"compress/flate"
	"compress/gzip"
	"errors"
	"io"
	"net/http"
	"strings"
)

// How much of a body is read, after decompression. An export page of 1000
// tickets is 2 to 3 MB; accounts with long descriptions have been seen with
// ten times that.
const (
	exportMost = 64 << 20
	bodyMost   = 8 << 20
	refuseMost = 64 << 10 // of an error's body; the rest says nothing more
)

// Faults of a body that are the answer's and not the network's.
var (
	errTooLarge = errors.New("body too large")
	errEncoding = errors.New("unknown content encoding")
	errGzip     = errors.New("not gzip")
)

// readBody reads at most most bytes of what the body holds once decompressed,
// so a small body that unpacks to a large one is bounded too. Past it the
// error is errTooLarge, with the bytes read.
func readBody(resp *http.Response, most int64) ([]byte, error) {
	var r io.Reader = resp.Body
	switch encoding := strings.ToLower(strings.TrimSpace(resp.Header.Get("Content-Encoding"))); {
	case encoding == "" || encoding == "identity" || resp.Uncompressed:
	case encoding == "gzip" || encoding == "x-gzip":
		z, err := gzip.NewReader(resp.Body)
		if errors.Is(err, gzip.ErrHeader) {
			return nil, errGzip
		}
		if err != nil {
			return nil, err
		}
		r = z
	default:
		return nil, errEncoding
	}
	data, err := io.ReadAll(io.LimitReader(r, most+1))
	if int64(len(data)) > most {
		return data[:most], errTooLarge
	}
	var corrupt flate.CorruptInputError
	if errors.Is(err, gzip.ErrChecksum) || errors.Is(err, gzip.ErrHeader) || errors.As(err, &corrupt) {
		return data, errGzip
	}
	return data, err
}
