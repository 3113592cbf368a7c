package zendesktest

import (
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"strconv"
	"time"
)

// faultJSON is a Fault as the control API takes and shows it.
type faultJSON struct {
	ID        int               `json:"id,omitempty"`
	Method    string            `json:"method,omitempty"`
	Path      string            `json:"path,omitempty"`
	Count     int               `json:"count,omitempty"`
	After     int               `json:"after,omitempty"`
	Delay     string            `json:"delay,omitempty"`
	Perform   bool              `json:"perform,omitempty"`
	Status    int               `json:"status,omitempty"`
	Header    map[string]string `json:"header,omitempty"`
	Body      string            `json:"body,omitempty"`
	Reset     bool              `json:"reset,omitempty"`
	Hang      bool              `json:"hang,omitempty"`
	Garbage   bool              `json:"garbage,omitempty"`
	HTML      bool              `json:"html,omitempty"`
	CutBodyAt int               `json:"cut_body_at,omitempty"`
	LateWrite bool              `json:"late_write,omitempty"`
	Shape     string            `json:"shape,omitempty"`
}

// fault reads the JSON form.
func (j *faultJSON) fault() (Fault, error) {
	f := Fault{
		Method: j.Method, Path: j.Path, Count: j.Count, After: j.After, Perform: j.Perform, Status: j.Status, Body: j.Body,
		Reset: j.Reset, Hang: j.Hang, Garbage: j.Garbage, HTML: j.HTML, CutBodyAt: j.CutBodyAt, LateWrite: j.LateWrite,
		Header: http.Header{},
	}
	if j.Status != 0 && (j.Status < 200 || j.Status > 599) {
		return Fault{}, fmt.Errorf("status %d is not between 200 and 599", j.Status)
	}
	if j.Shape != "" {
		shape, ok := ErrorShape(j.Shape)
		if !ok {
			return Fault{}, fmt.Errorf("no such shape: %q", j.Shape)
		}
		f.Status, f.Header, f.Body = shape.Status, shape.Header, shape.Body
	}
	for k, v := range j.Header {
		f.Header.Set(k, v)
	}
	if j.Delay != "" {
		d, err := time.ParseDuration(j.Delay)
		if err != nil {
			return Fault{}, fmt.Errorf("delay: %w", err)
		}
		f.Delay = d
	}
	return f, nil
}

func (s *Server) controlFault(r *http.Request) reply {
	var sent faultJSON
	dec := json.NewDecoder(r.Body)
	dec.DisallowUnknownFields()
	if err := dec.Decode(&sent); err != nil && !errors.Is(err, io.EOF) {
		return badControl(fmt.Errorf("the body is no fault: %w", err))
	}
	f, err := sent.fault()
	if err != nil {
		return badControl(err)
	}
	return jsonReply(http.StatusCreated, map[string]any{"id": s.faults.add(f)})
}

func (s *Server) controlFaults() reply {
	s.faults.mu.Lock()
	defer s.faults.mu.Unlock()
	all := []faultJSON{}
	for _, f := range s.faults.list {
		j := faultJSON{
			ID: f.id, Method: f.Method, Path: f.Path, Count: f.Count, After: f.After, Perform: f.Perform, Status: f.Status, Body: f.Body,
			Reset: f.Reset, Hang: f.Hang, Garbage: f.Garbage, HTML: f.HTML, CutBodyAt: f.CutBodyAt, LateWrite: f.LateWrite,
			Header: map[string]string{},
		}
		for k := range f.Header {
			j.Header[k] = f.Header.Get(k)
		}
		if f.Delay > 0 {
			j.Delay = f.Delay.String()
		}
		all = append(all, j)
	}
	return jsonReply(http.StatusOK, map[string]any{"faults": all})
}

// controlClear takes one fault away (?id=), or all.
func (s *Server) controlClear(r *http.Request) reply {
	text := r.URL.Query().Get("id")
	if text == "" {
		s.ClearFaults()
		return jsonReply(http.StatusOK, map[string]any{"faults": []any{}})
	}
	id, err := strconv.Atoi(text)
	if err != nil || !s.faults.remove(id) {
		return plainText(http.StatusNotFound, "no such fault\n")
	}
	return jsonReply(http.StatusOK, map[string]any{"removed": id})
}
