// SPDX-License-Identifier: GPL-3.0-or-later

//go:build tools

// Package tools names the command that go.mod must be able to build.
package tools

import _ "github.com/projectcontour/contour/cmd/contour"
