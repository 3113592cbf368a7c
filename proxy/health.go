package proxy

import (
	_ "embed"
	"net/http"
)

// description is what there is to ask, as OpenAPI. The tests hold every answer
// against it.
//
//go:embed openapi.yaml
var description []byte

// healthz says that the process lives and answers.
func (s *Server) healthz(c *call) error {
	c.write(http.StatusOK, jsonType, []byte(`{"status":"ok"}`))
	return nil
}

// readyz says that there is something to answer from: the mirror has once been
// filled. Zendesk's state is none of its business, for a daemon that answers
// from its mirror while Zendesk is down is doing what it is there for.
func (s *Server) readyz(c *call) error {
	if !s.o.Directory.Streams().Filled() {
		return &fault{status: http.StatusServiceUnavailable, detail: "the mirror has not been filled yet"}
	}
	c.write(http.StatusOK, jsonType, []byte(`{"status":"ready"}`))
	return nil
}

func (s *Server) openapi(c *call) error {
	c.write(http.StatusOK, "application/yaml", description)
	return nil
}
