package zendesktest

import (
	"fmt"
	"net/http"
	"path"
	"slices"
	"strconv"
	"strings"
	"sync"
	"time"
)

// Fault spoils requests. Method and Path choose them; After and Count say
// which of those; the rest says how. Where several faults fit, the one added
// first that still has something to do is used.
type Fault struct {
	// Method is GET, PUT and so on; "" is any.
	Method string
	// Path is a prefix of the path without .json ("/api/v2/incremental/"), or
	// a pattern of path.Match where it has a * ("/api/v2/tickets/*"); "" is any.
	Path string
	// After lets so many requests pass first; Count spoils so many, 0 all.
	After, Count int

	// Delay waits before anything else happens; alone, it makes the answer
	// slow and leaves it right.
	Delay time.Duration
	// Perform carries the request out before the answer is spoilt: the client
	// does not learn that it was done.
	Perform bool

	// Status answers so, with Header and Body, in place of the real answer.
	Status int
	Header http.Header
	Body   string
	// Reset drops the connection without an answer.
	Reset bool
	// Hang answers nothing until the client goes away or the account closes.
	Hang bool
	// Garbage answers 200 and bytes that are no JSON; HTML answers a page from
	// the edge, with Status or 502.
	Garbage, HTML bool
	// CutBodyAt sends so many bytes of the real answer, whose Content-Length
	// promises all, and drops the connection; a negative number sends none.
	CutBodyAt int
	// LateWrite waits until the client has given up and Delay has passed from
	// then on, and only then carries the request out.
	LateWrite bool
}

// fits tells whether the fault is meant for the request.
func (f *Fault) fits(method, p string) bool {
	if f.Method != "" && !strings.EqualFold(f.Method, method) {
		return false
	}
	want := strings.TrimSuffix(f.Path, ".json")
	if strings.Contains(want, "*") {
		ok, err := path.Match(want, p)
		return ok && err == nil
	}
	return strings.HasPrefix(p, want)
}

type scripted struct {
	Fault
	id   int
	seen int
	done int
}

type faultScript struct {
	mu   sync.Mutex
	list []*scripted
	last int
}

// Fail adds a fault; remove takes it away again. Faults that have done their
// Count go by themselves.
func (s *Server) Fail(f Fault) (remove func()) {
	id := s.faults.add(f)
	return func() { s.faults.remove(id) }
}

// ClearFaults takes all faults away.
func (s *Server) ClearFaults() {
	s.faults.mu.Lock()
	defer s.faults.mu.Unlock()
	s.faults.list = nil
}

func (fs *faultScript) add(f Fault) int {
	fs.mu.Lock()
	defer fs.mu.Unlock()
	fs.last++
	fs.list = append(fs.list, &scripted{Fault: f, id: fs.last})
	return fs.last
}

func (fs *faultScript) remove(id int) bool {
	fs.mu.Lock()
	defer fs.mu.Unlock()
	n := len(fs.list)
	fs.list = slices.DeleteFunc(fs.list, func(f *scripted) bool { return f.id == id })
	return len(fs.list) < n
}

// take is the fault for a request, nil where none is meant for it.
func (fs *faultScript) take(method, p string) *Fault {
	fs.mu.Lock()
	defer fs.mu.Unlock()
	for k, f := range fs.list {
		if !f.fits(method, p) {
			continue
		}
		f.seen++
		if f.seen <= f.After {
			continue
		}
		f.done++
		if f.Count > 0 && f.done >= f.Count {
			fs.list = slices.Delete(fs.list, k, k+1)
		}
		return &f.Fault
	}
	return nil
}

// withFaults answers a request, spoilt where a fault says so, and returns the
// status that was sent, 0 where none was.
func (s *Server) withFaults(w http.ResponseWriter, q *request, p string, answer func() reply) int {
	f := s.faults.take(q.Method, p)
	if f == nil {
		rep := answer()
		rep.write(w)
		return rep.status
	}
	if f.LateWrite {
		s.landLate(q, f, answer)
		drop(w)
		return 0
	}
	if !s.wait(q.Context().Done(), f.Delay) {
		drop(w) // a handler that only returns would have said 200
		return 0
	}
	spoilt := f.Reset || f.Hang || f.Garbage || f.HTML || f.Status != 0
	if !spoilt || f.Perform {
		rep := answer()
		if !spoilt {
			return s.cut(w, rep, f.CutBodyAt)
		}
	}
	if f.Hang {
		s.untilGone(q)
	}
	if f.Hang || f.Reset {
		drop(w)
		return 0
	}
	rep := s.seal(f.reply(), s.clock())
	return s.cut(w, rep, f.CutBodyAt)
}

// reply is what the fault answers by itself.
func (f *Fault) reply() reply {
	rep := reply{status: f.Status, header: f.Header.Clone(), body: []byte(f.Body)}
	if rep.header == nil {
		rep.header = http.Header{}
	}
	switch {
	case f.HTML:
		if rep.status == 0 {
			rep.status = http.StatusBadGateway
		}
		rep.header.Set("Content-Type", "text/html; charset=utf-8")
		rep.body = fmt.Appendf(nil, "<html>\r\n<head><title>%[1]d %[2]s</title></head>\r\n<body>\r\n<center><h1>%[1]d %[2]s</h1></center>\r\n<hr><center>edge</center>\r\n</body>\r\n</html>\r\n",
			rep.status, http.StatusText(rep.status))
	case f.Garbage:
		if rep.status == 0 {
			rep.status = http.StatusOK
		}
		rep.body = []byte("{\"tickets\":[{\"id\":\x00\xff\xfe, not JSON")
	case rep.header.Get("Content-Type") == "" && f.Body != "" && !strings.HasPrefix(f.Body, "{"):
		rep.header.Set("Content-Type", "text/plain; charset=utf-8")
	}
	return rep
}

// cut sends a reply, or the beginning of one.
func (s *Server) cut(w http.ResponseWriter, rep reply, at int) int {
	if at == 0 || at >= len(rep.body) {
		rep.write(w)
		return rep.status
	}
	for k, v := range rep.header {
		w.Header()[k] = v
	}
	w.Header().Set("Content-Length", strconv.Itoa(len(rep.body)))
	w.WriteHeader(rep.status)
	_, _ = w.Write(rep.body[:max(at, 0)]) // the connection is dropped next anyway
	_ = http.NewResponseController(w).Flush()
	hangUp(w, false)
	return rep.status
}

// untilGone waits for the client to go away, or the account to close.
func (s *Server) untilGone(q *request) {
	select {
	case <-q.Context().Done():
	case <-s.closing:
	}
}

// landLate carries a request out after its client has given up.
func (s *Server) landLate(q *request, f *Fault, answer func() reply) {
	s.untilGone(q)
	if s.wait(nil, f.Delay) {
		answer()
	}
}

// outage is the state of the account as a whole.
type outage struct {
	mu    sync.Mutex
	down  bool
	serve time.Duration // Retry-After of a maintenance
	maint bool
}

func (o *outage) isDown() bool {
	o.mu.Lock()
	defer o.mu.Unlock()
	return o.down
}

func (o *outage) maintenance() (time.Duration, bool) {
	o.mu.Lock()
	defer o.mu.Unlock()
	return o.serve, o.maint
}

// Down makes every request end in a dropped connection, until Down(false).
func (s *Server) Down(down bool) {
	s.outage.mu.Lock()
	defer s.outage.mu.Unlock()
	s.outage.down = down
}

// Maintenance answers everything with 503 and this Retry-After, rounded down
// to seconds; a negative duration ends it.
func (s *Server) Maintenance(retryAfter time.Duration) {
	s.outage.mu.Lock()
	defer s.outage.mu.Unlock()
	s.outage.maint = retryAfter >= 0
	s.outage.serve = max(retryAfter, 0)
}
