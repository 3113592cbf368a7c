// Package caught tells of a panic without what it says.
//
// The value of a panic may quote what was being worked on: a number, a name. So
// may the arguments that a stack shows, which are hexadecimal, for a number fits
// a word. What is kept is of which type the value was, or the runtime's own words
// where it was the runtime's, and by which lines of which functions it came about.
package caught

import (
	"errors"
	"fmt"
	"runtime"
	"strings"
)

// Panic is a panic as an error. Its text may be logged and told.
type Panic struct {
	In    string // what panicked, in words of ours
	Fault error  // the runtime's own fault, nil for any other value
	Type  string // the value's
	Stack string // function and line, innermost first
}

// New makes an error of a value that was recovered; it is to be called by the
// function that recovered it, whose stack is the panic's.
func New(in string, value any) *Panic {
	p := &Panic{In: in, Type: fmt.Sprintf("%T", value), Stack: Stack()}
	var fault runtime.Error
	if err, ok := value.(error); ok && errors.As(err, &fault) {
		p.Fault = fault
	}
	return p
}

// Error implements error. It is one line.
func (p *Panic) Error() string { return p.In + ": panic" + p.what() }

func (p *Panic) what() string {
	if p.Fault != nil {
		return ": " + p.Fault.Error()
	}
	return " of type " + p.Type
}

// Unwrap gives the runtime's own fault, if it was one.
func (p *Panic) Unwrap() error { return p.Fault }

// Run does something, and makes a [*Panic] of a panic.
func Run(in string, do func() error) (err error) {
	defer func() {
		if value := recover(); value != nil {
			err = New(in, value)
		}
	}()
	return do()
}

// Stack is the way here: functions and lines, the innermost first, without
// arguments. In a deferred function it is the way to the panic, too.
func Stack() string {
	const most = 64
	pcs := make([]uintptr, most)
	frames := runtime.CallersFrames(pcs[:runtime.Callers(2, pcs)])
	var b strings.Builder
	for {
		f, more := frames.Next()
		if f.Function != "" {
			fmt.Fprintf(&b, "%s\n\t%s:%d\n", f.Function, f.File, f.Line)
		}
		if !more {
			return b.String()
		}
	}
}
