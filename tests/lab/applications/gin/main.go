// SPDX-License-Identifier: GPL-3.0-or-later

// Answers with the address that Gin takes for the client's: gin CASE ADDRESS
package main

import (
	"log"
	"net/http"
	"os"

	"github.com/gin-gonic/gin"
)

// The settings to be tested, by name: a file that is written before this is built fills it.
var cases = map[string]func(*gin.Engine) http.Handler{}

func main() {
	gin.SetMode(gin.ReleaseMode)
	router := gin.New()
	handler := cases[os.Args[1]](router)
	router.NoRoute(func(c *gin.Context) { c.String(http.StatusOK, c.ClientIP()) })
	log.Fatal(http.ListenAndServe(os.Args[2]+":8000", handler))
}
