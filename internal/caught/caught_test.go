package caught

import (
	"errors"
	"fmt"
	"runtime"
	"strings"
	"testing"
)

const number = "+15135550101"

func TestAPanicIsToldWithoutItsValue(t *testing.T) {
	var none []int
	broken := errors.New("no " + number)
	tests := []struct {
		name, want string
		do         func() error
	}{
		{"a text", "a walk: panic of type string", func() error { panic("no " + number) }},
		{"an error", "a walk: panic of type *errors.errorString", func() error { panic(broken) }},
		{"a value", "a walk: panic of type struct { Name string }", func() error { panic(struct{ Name string }{"Ann"}) }},
		{"the runtime's", "a walk: panic: runtime error: index out of range [3] with length 0", func() error { return fmt.Errorf("%d", none[len(number)-9]) }},
		{"the runtime's, wrapped", "a walk: panic: runtime error: integer divide by zero", func() error { panic(fmt.Errorf("no %s: %w", number, divide(len(none)))) }},
		{"nothing", "a walk: panic: panic called with nil argument", func() error { panic(nil) }},
		{"no panic", "no " + number, func() error { return broken }},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			if err := Run("a walk", tt.do); err == nil || err.Error() != tt.want {
				t.Errorf("the error is %v, want %s", err, tt.want)
			}
		})
	}
	if err := Run("a walk", func() error { return nil }); err != nil {
		t.Error(err)
	}
}

// divide gives the runtime's own fault.
func divide(by int) (err error) {
	defer func() { err, _ = recover().(error) }()
	_ = 1 / by
	return nil
}

func TestTheRuntimesFaultIsFound(t *testing.T) {
	var fault runtime.Error
	if err := Run("a walk", func() error { panic(divide(0)) }); !errors.As(err, &fault) {
		t.Errorf("%v is no fault of the runtime's", err)
	}
}

//go:noinline
func fails(digits uint64) error { panic(fmt.Sprint(digits)) }

func TestAStackShowsWhereAndNoArguments(t *testing.T) {
	var p *Panic
	if !errors.As(Run("a walk", func() error { return fails(15135550101) }), &p) {
		t.Fatal("no panic")
	}
	if !strings.Contains(p.Stack, "caught.fails\n\t") || !strings.Contains(p.Stack, "caught_test.go:") {
		t.Errorf("the stack does not tell where:\n%s", p.Stack)
	}
	if hex := fmt.Sprintf("%x", 15135550101); strings.Contains(p.Stack, hex) || strings.Contains(p.Stack, "0x") {
		t.Errorf("the stack shows arguments:\n%s", p.Stack)
	}
}
