// SPDX-License-Identifier: GPL-3.0-or-later

// Command pause holds the namespaces of a pod: it waits, collects the children that the pod's
// processes leave behind, and exits at once when told to. A program that ignores SIGTERM would
// cost the kubelet's whole grace period at the end of every pod.
package main

import (
	"os"
	"os/signal"
	"syscall"
)

func main() {
	// A full channel drops signals, so a burst of dead children must not share one with the end.
	stop := make(chan os.Signal, 1)
	signal.Notify(stop, syscall.SIGTERM, syscall.SIGINT)
	children := make(chan os.Signal, 1)
	signal.Notify(children, syscall.SIGCHLD)
	for {
		reap()
		select {
		case <-stop:
			return
		case <-children:
		}
	}
}

// reap collects every child that has ended: one SIGCHLD may stand for several.
func reap() {
	for {
		pid, err := syscall.Wait4(-1, nil, syscall.WNOHANG, nil)
		if err == syscall.EINTR {
			continue
		}
		if pid <= 0 || err != nil {
			return
		}
	}
}
