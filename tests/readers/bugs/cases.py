"""BUGS texts with constructs that classic examples use, and data: each is checked element by element."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

NA = None


@dataclass(frozen=True)
class Case:
    """A text, its data, and values at which its latent nodes are started (others are drawn)."""

    name: str
    text: str
    data: dict[str, Any]
    inits: dict[str, Any] = field(default_factory=dict)


CASES = (
    Case(
        "autoregression",
        """model {
          h[1] ~ dnorm(mu, tau)
          for (t in 2:N) { h[t] ~ dnorm(mu + phi*(h[t-1] - mu), tau) }
          for (t in 1:N) { y[t] ~ dnorm(h[t], 4) }
          mu ~ dnorm(0, 0.1)   phi ~ dunif(-1, 1)   tau ~ dgamma(2, 1)
        }""",
        {"N": 6, "y": [0.3, 1.0, NA, -0.5, 0.2, 0.9]},
    ),
    Case(
        "conditional autoregression",
        """model {
          for (t in 2:N) { y[t] ~ dnorm(phi*y[t-1], tau) }
          phi ~ dunif(-1, 1); tau ~ dgamma(2, 1)
        }""",
        {"N": 5, "y": [0.3, 1.0, 0.2, -0.5, 0.2]},
    ),
    Case(
        "ragged rows",
        """model {
          for (i in 1:N) {
            theta[i] ~ dnorm(mu, 1)
            for (j in 1:n[i]) { y[i,j] ~ dnorm(theta[i] + b*x[j], tau) }
            m[i] <- mean(y[i,1:n[i]]); s[i] <- sum(y[i,1:n[i]]*y[i,1:n[i]])/n[i]
          }
          mu ~ dnorm(0, 1); b ~ dnorm(0, 1); tau ~ dgamma(2, 1)
        }""",
        {"N": 3, "n": [2, 3, 1], "x": [0, 1, 2], "y": [[1, 2, NA], [0, NA, 3], [5, NA, NA]]},
    ),
    Case(
        "ragged rows that look back",
        """model {
          for (i in 1:N) {
            y[i,1] ~ dnorm(0, 1)
            for (j in 2:n[i]) { y[i,j] ~ dnorm(phi*y[i,j-1] + z[i,j], tau) }
          }
          phi ~ dunif(-1, 1); tau ~ dgamma(2, 1)
        }""",
        {
            "N": 3,
            "n": [2, 4, 3],
            "y": [[1, 2, NA, NA], [0, 1, 3, 2], [5, 4, 2, NA]],
            "z": [[0, 2, NA, NA], [0, 1, 3, 2], [0, 4, 2, NA]],
        },
    ),
    Case(
        "offsets",
        """model {
          for (i in 1:N) {
            theta[i] ~ dnorm(0, 1)
            for (j in off[i]:(off[i+1]-1)) { y[j] ~ dnorm(theta[i] + b*j, 2) }
          }
          b ~ dnorm(0, 1)
        }""",
        {"N": 3, "off": [1, 3, 4, 7], "y": [1, 2, 0, 3, 5, 1]},
    ),
    Case(
        "two memberships",
        """model {
          for (i in 1:N) {
            theta[i] ~ dnorm(0, 1)
            for (j in off[i]:(off[i+1]-1)) { y[j] ~ dnorm(theta[i] + b*i, 2) }
            for (j in cut[i]:(cut[i+1]-1)) { x[j] ~ dnorm(theta[i]*y[j] + i*j, 1) }
          }
          b ~ dnorm(0, 1)
        }""",
        {"N": 3, "off": [1, 3, 4, 7], "cut": [1, 2, 5, 7], "y": [1, 2, 0, 3, 5, 1], "x": [1, 2, 3, 1, 2, 3]},
    ),
    Case(
        "membership",
        """model {
          for (i in 1:n) { y[i] ~ dnorm(a[county[i]] + b[x[i] + 1] + c*county[i], tau) }
          for (k in 1:J) { a[k] ~ dnorm(0, 0.5) }
          b[1] <- 0
          b[2] ~ dnorm(0, 1)
          c ~ dnorm(0, 1); tau ~ dgamma(2, 1)
        }""",
        {"n": 5, "J": 3, "county": [1, 1, 2, 3, 3], "x": [0, 1, 1, 0, 1], "y": [1, 2, 3, 2, 1]},
    ),
    Case(
        "names that the reader would take",
        """model {
          for (i in 1:N) { for (j in 1:N) { D[i,j] <- x[i]*x[j]*N.value*i } ; x[i] ~ dnorm(N2[g[i]], N) }
          for (k in 1:2) { N2[k] ~ dnorm(N.index + g[1], 1) }
          N.value ~ dexp(1); N.index <- N.value + 1; g.value <- 2; y ~ dnorm(g.value + sum(D[,]), 1)
        }""",
        {"N": 3, "g": [1, 2, 2], "y": 2},
    ),
    Case(
        "multivariate normal",
        """model {
          for (i in 1:N) {
            beta[i,1:2] ~ dmnorm(mu.beta[], R[,])
            for (j in 1:T) { Y[i,j] ~ dnorm(mu[i,j], tau.c); mu[i,j] <- beta[i,1] + beta[i,2]*x[j] }
          }
          mu.beta[1:2] ~ dmnorm(mean[], prec[,])
          R[1:2,1:2] ~ dwish(Omega[,], 4)
          cov[1:2,1:2] <- inverse(R[,])
          tau.c ~ dgamma(2, 1)
        }""",
        {
            "N": 3,
            "T": 2,
            "x": [0, 1],
            "Y": [[1, 2], [2, 4], [0, NA]],
            "mean": [0, 1],
            "Omega": [[2, 0.5], [0.5, 1]],
            "prec": [[0.1, 0.02], [0.02, 0.3]],
        },
    ),
    Case(
        "corner constraints",
        """model {
          for (i in 1:I) { for (j in 1:J) {
            X[i,j,1:K] ~ dmulti(p[i,j,1:K], n[i,j])
            for (k in 1:K) {
              p[i,j,k] <- phi[i,j,k]/sum(phi[i,j,])
              log(phi[i,j,k]) <- alpha[k] + beta[i,k] + gamma[j,k]
            } } }
          alpha[1] <- 0
          for (k in 2:K) { alpha[k] ~ dnorm(0, 0.1) }
          for (i in 1:I) { beta[i,1] <- 0 }
          for (k in 2:K) { beta[1,k] <- 0 }
          for (i in 2:I) { for (k in 2:K) { beta[i,k] ~ dnorm(0, 0.2) } }
          for (j in 1:J) { gamma[j,1] <- 0 }
          for (k in 2:K) { gamma[1,k] <- 0; for (j in 2:J) { gamma[j,k] ~ dnorm(0, 0.3) } }
        }""",
        {
            "I": 2,
            "J": 2,
            "K": 3,
            "n": [[6, 5], [4, 7]],
            "X": [[[1, 2, 3], [2, 2, 1]], [[4, 0, 0], [3, 3, 1]]],
        },
    ),
    Case(
        "hidden states",
        """model {
          z[1] ~ dcat(start[])
          for (t in 2:N) { z[t] ~ dcat(P[z[t-1],]) }
          for (t in 1:N) { y[t] ~ dnorm(m[z[t]], 1) }
          for (k in 1:2) { P[k,1:2] ~ ddirch(a[]); m[k] ~ dnorm(0, 0.1) }
        }""",
        {"N": 4, "start": [0.5, 0.5], "a": [1, 2], "y": [0, 3, 2.5, 1]},
        {"z": [1, 2, 2, 1]},
    ),
    Case(
        "unnormalised categories as numbers",
        """model {
          for (i in 1:N) { z[i] ~ dcat(w[]); y[i] ~ dpois(exp(b*z[i]))
            s[i] <- step(y[i] - 2) * equals(z[i], 2) }
          b ~ dnorm(0, 1)
          total <- sum(s[])
        }""",
        {"N": 3, "w": [1, 2, 5], "y": [2, 4, 1]},
        {"z": [1, 3, 2]},
    ),
    Case(
        "a part of a vector",
        """model {
          for (i in 1:N) { x[i] ~ dnorm(m + mean(w[1:2]), exp(-inprod(u[], v[i,]))) }
          for (i in 1:3) { w[i] ~ dexp(1) }
          for (k in 1:2) { u[k] ~ dnorm(0, 1) }
          d <- max(w[]) - min(w[1], w[2]); s <- sd(w[])*sd(x[] - m); q[1] <- sd(v[1,]); q[2] <- sd(u[])
          m ~ dt(0, 0.5, 4)
        }""",
        {"N": 2, "x": [1, 2], "v": [[1, 2], [0, 1]]},
    ),
    Case(
        "differences",
        """model {
          for (i in 1:N) { x[i] ~ ddexp(0, 2) }
          for (i in 1:(N-1)) { d[i] <- x[i+1] - x[i]; y[i] ~ dlogis(d[i], 3) }
        }""",
        {"N": 4, "y": [1, 2, 0]},
    ),
    Case(
        "changepoint",
        """model {
          for (i in 1:N) { y[i] ~ dnorm(alpha + beta[J[i]]*(x[i] - x.change), tau)
            J[i] <- 1 + step(i - k - 0.5)
            punif[i] <- 1/N }
          k ~ dcat(punif[]); x.change <- x[k]
          alpha ~ dnorm(0, 1); for (j in 1:2) { beta[j] ~ dnorm(0, 1) }; tau ~ dgamma(2, 1)
        }""",
        {"N": 4, "y": [1, 2, 0, 1], "x": [1, 2, 3, 4]},
    ),
    Case(
        "other laws",
        """model {
          a ~ dbeta(2, 3); b ~ dweib(2, 0.7); c ~ dlnorm(0.3, 2); d ~ dchisqr(5); e ~ dpar(2, 1.5)
          f ~ dnegbin(a, 4); g ~ dbin(a, 6); h ~ dbern(a); k ~ dpois(b) T(1, 9); l ~ dgamma(2, c) T(0.1,)
          m ~ dnorm(0, d) T(-1, e); o ~ dbetabin(2, 3, 7); q ~ dunif(0, e)
          u ~ dnorm(1, 4) I(, 3)
          logit(v) <- a + pow(b, 2) - 2^3; probit(v2) <- -a; cloglog(v3) <- log(b)
          y ~ dbin((v + v2 + v3)/3, n)
        }""",
        {"n": 5, "y": 2},
    ),
    Case(
        "F and generalised gamma",
        """model {
          n ~ dgamma(4, 1); mu ~ dgen.gamma(2, 0.5, 1.5); q ~ df(n, 8) T(0.1,)
          for (i in 1:2) { y[i] ~ df(n, 5); z[i] ~ dgen.gamma(n, mu, 0.7) }
        }""",
        {"y": [0.4, 1.9], "z": [2.0, 30.0]},
    ),
    Case(
        "noncentral laws",
        """model {
          k ~ dgamma(4, 1); d ~ dexp(0.3); lpsi ~ dnorm(0, 1); psi <- exp(lpsi); q ~ dnchisqr(k, 2)
          for (i in 1:2) { y[i] ~ dnchisqr(k, d); z[i] ~ dhyper(n[i], 9, 6, psi) }
        }""",
        {"y": [0.4, 11.9], "z": [2, 4], "n": [3, 12]},
    ),
    Case(
        "multivariate t",
        """model {
          for (i in 1:3) { y[i,1:2] ~ dmt(m[], T[,], k) }
          m[1:2] ~ dmt(zero[], S[,], 5)
          T[1:2,1:2] ~ dwish(S[,], 4)
          k ~ dexp(0.1)
        }""",
        {"y": [[1, 2], [0, -1], [3, 0.5]], "zero": [0, 0], "S": [[1, 0.2], [0.2, 2]]},
        {"T": [[2.0, 0.3], [0.3, 1.0]]},
    ),
    Case(
        "censoring",
        """model {
          for (i in 1:N) { is.censored[i] ~ dinterval(t[i], limit[i]); t[i] ~ dweib(r, lambda) }
          r ~ dexp(1); lambda ~ dgamma(2, 1)
        }""",
        {"N": 4, "is.censored": [0, 1, 0, 1], "t": [1.0, NA, 0.5, NA], "limit": [2, 2, 3, 1]},
        {"t": [NA, 3, NA, 1.5]},
    ),
    Case(
        "given definitions",
        """data { for (i in 1:N) { for (j in 1:2) { ly[i,j] <- log(y[i,j]) } } ; n2 <- N*2 ; s[1:2] <- y[1,] }
        model {
          m <- n2/2
          K <- max(g[])
          for (i in 1:m) { for (j in 1:2) { ly[i,j] ~ dnorm(a[g[i]] + s[j]*b, 1) } }
          for (k in 1:K) { a[k] ~ dnorm(0, N) }
          b ~ dnorm(0, length(g))
        }""",
        {"N": 3, "y": [[1, 2], [3, 4], [5, 6]], "g": [1, 2, 2]},
    ),
    Case(
        "matrix products",
        """var mu[N], b[2];
        model {
          mu <- X %*% b
          for (i in 1:N) { y[i] ~ dnorm(mu[i], 1) }
          b ~ dmnorm(zero, Omega)
          for (i in 1:N) { for (j in 1:N) { D[i,j] <- (y[i] - y[j])^2 * W[j,i] } }
          geary <- sum(D[,])/sum(W)
        }""",
        {
            "N": 3,
            "X": [[1, 0], [1, 1], [1, 2]],
            "y": [1, 2, 4],
            "zero": [0, 0],
            "Omega": [[2, 0.5], [0.5, 1]],
            "W": [[0, 1, 2], [1, 0, 1], [2, 1, 0]],
        },
    ),
    Case(
        "elements that nothing defines",
        """model {
          for (t in 3:N) { x[t] ~ dnorm(mu, 1); y[t] ~ dnorm(x[t], 2); q[t] <- x[t]/x[t-0] }
          for (i in 1:2) { y2[i] ~ dnorm(b[g[i]], 1) }
          b[2] ~ dnorm(0, 1); b[4] ~ dnorm(1, 2); mu ~ dnorm(0, 1)
          for (i in 1:2) { for (t in 2:N) { w[i,t] <- x[N]*t - i } }
        }""",
        {"N": 5, "y": [NA, NA, 1, 2, NA], "g": [2, 4], "y2": [1, 2]},
    ),
    Case(
        "a series that grows by factors",
        """model {
          n[1] ~ dgamma(20, 2); m ~ dnorm(1, 25)
          for (t in 1:(T-1)) { r[t] ~ dnorm(m, 25); n[t+1] <- n[t]*r[t]; d[t+1] <- n[t+1] - n[t] }
          for (t in 1:T) { y[t] ~ dnorm(n[t], 1) }
          p[1] <- m; for (t in 1:(T-1)) { a[t] <- p[t]*m; p[t+1] <- a[t] + 1 }
        }""",
        {"T": 4, "y": [9, 12, NA, 16]},
    ),
    Case(
        "occupancy that changes",
        """model {
          psi1 ~ dunif(0, 1)
          for (k in 1:(K-1)) { phi[k] ~ dunif(0, 1); gamma[k] ~ dunif(0, 1) }
          for (i in 1:R) {
            z[i,1] ~ dbern(psi1)
            for (k in 2:K) {
              muZ[i,k] <- z[i,k-1]*phi[k-1] + (1 - z[i,k-1])*gamma[k-1]
              z[i,k] ~ dbern(muZ[i,k])
            }
            for (j in 1:J) { for (k in 1:K) { y[i,j,k] ~ dbern(z[i,k]*0.6 + 0.1) } }
          }
          psi[1] <- psi1
          for (k in 2:K) {
            psi[k] <- psi[k-1]*phi[k-1] + (1 - psi[k-1])*gamma[k-1]
            growth[k] <- psi[k]/psi[k-1]
          }
          for (k in 1:K) { occupied[k] <- sum(z[1:R,k]) }
        }""",
        {
            "R": 3,
            "J": 2,
            "K": 3,
            "y": [[[1, 0, 1], [0, 0, 1]], [[0, 0, 1], [0, 1, 0]], [[0, NA, 0], [0, 0, 0]]],
        },
    ),
    Case(
        "capture and recapture",
        """model {
          for (i in 1:n) {
            for (t in f[i]:(T-1)) { phi[i,t] <- a*w[i,t] ; logit(p[i,t]) <- e[t] }
            z[i,f[i]] <- 1
            for (t in (f[i]+1):T) {
              z[i,t] ~ dbern(mu1[i,t])
              mu1[i,t] <- phi[i,t-1]*z[i,t-1]
              y[i,t] ~ dbern(mu2[i,t])
              mu2[i,t] <- p[i,t-1]*z[i,t] + 0.001
            }
          }
          for (t in 1:(T-1)) { e[t] ~ dnorm(0, 1) }
          a ~ dunif(0, 1)
        }""",
        {
            "n": 4,
            "T": 4,
            "f": [1, 3, 2, 1],
            "y": [[1, 0, 1, 0], [0, 0, 1, 1], [0, 1, 0, 0], [1, 0, 0, 0]],
            "z": [[NA, 1, 1, NA], [NA, NA, NA, 1], [NA, NA, NA, NA], [NA, NA, NA, NA]],
            "w": [[0.9, 0.8, 0.7], [NA, NA, 0.8], [NA, 0.7, 0.9], [1, 0.8, 0.9]],
        },
        {"z": [[NA, NA, NA, 1], [NA, NA, NA, NA], [NA, NA, 1, 0], [NA, 1, 0, 0]]},
    ),
    Case(
        "states in which animals are seen",
        """model {
          for (i in 1:n) {
            z[i,f[i]] <- y[i,f[i]]
            for (t in (f[i]+1):T) {
              z[i,t] ~ dcat(ps[z[i,t-1], i, t-1, ])
              y[i,t] ~ dcat(po[z[i,t], i, t-1, ])
            }
            for (t in f[i]:(T-1)) {
              ps[1,i,t,1] <- s*(1 - m); ps[1,i,t,2] <- s*m; ps[1,i,t,3] <- 1 - s
              ps[2,i,t,1] <- s*m; ps[2,i,t,2] <- s*(1 - m); ps[2,i,t,3] <- 1 - s
              ps[3,i,t,1] <- 0; ps[3,i,t,2] <- 0; ps[3,i,t,3] <- 1
              po[1,i,t,1] <- p[t]; po[1,i,t,2] <- 0; po[1,i,t,3] <- 1 - p[t]
              po[2,i,t,1] <- 0; po[2,i,t,2] <- p[t]; po[2,i,t,3] <- 1 - p[t]
              po[3,i,t,1] <- 0; po[3,i,t,2] <- 0; po[3,i,t,3] <- 1
            }
          }
          for (t in 1:(T-1)) { p[t] ~ dunif(0, 1) }
          s ~ dunif(0, 1); m ~ dunif(0, 1)
        }""",
        {"n": 3, "T": 4, "f": [1, 3, 2], "y": [[2, 1, 3, 3], [3, 3, 1, 3], [3, 2, 3, 2]]},
        {"z": [[NA, 1, 2, 3], [NA, NA, NA, 3], [NA, NA, 1, 2]]},
    ),
    Case(
        "arms of trials",
        """model {
          for (i in 1:N) {
            delta[i,1] <- 0
            r[i,1] ~ dbin(p[i,1], n[i,1])
            for (k in 2:na[i]) {
              r[i,k] ~ dbin(p[i,k], n[i,k])
              delta[i,k] ~ dnorm(d[t[i,k]] - d[t[i,1]], tau)
            }
            for (k in 1:na[i]) { logit(p[i,k]) <- mu[i] + delta[i,k] }
            mu[i] ~ dnorm(0, 0.1); last[i] <- p[i,2] - p[i,1]
          }
          d[1] <- 0
          for (k in 2:3) { d[k] ~ dnorm(0, 0.1) }
          tau ~ dgamma(2, 1)
        }""",
        {
            "N": 3,
            "na": [2, 3, 2],
            "t": [[1, 2, NA], [1, 2, 3], [2, 3, NA]],
            "r": [[1, 2, NA], [3, 4, 5], [2, 2, NA]],
            "n": [[10, 10, NA], [10, 10, 10], [9, 8, NA]],
        },
    ),
    Case(
        "rows of probabilities",
        """model {
          for (i in 1:N) {
            y[i] ~ dcat(p[i,1:K[i]])
            w[i,1:K[i]] ~ dmulti(p[i,1:K[i]], n[i])
            for (k in 1:K[i]) { e[i,k] <- exp(b*x[i,k]); p[i,k] <- e[i,k]/sum(e[i,1:K[i]]) }
            g[i] ~ dcat(given[i,1:K[i]])
          }
          b ~ dnorm(0, 1)
        }""",
        {
            "N": 3,
            "K": [2, 3, 4],
            "y": [1, 3, NA],
            "g": [2, NA, 4],
            "n": [5, 4, 6],
            "w": [[2, 3, NA, NA], [1, 1, 2, NA], [0, 2, 1, 3]],
            "x": [[1, 2, NA, NA], [0, 1, 2, NA], [1, 0, 1, 3]],
            "given": [[0.5, 0.5, NA, NA], [0.2, 0.3, 0.5, NA], [1, 2, 3, 4]],
        },
    ),
    Case(
        "parts of wider arrays",
        """model {
          for (i in 1:N) { y[i] ~ dcat(q[g[i],1:3]); w[i,1:2] ~ dmulti(q[g[i],2:3], n[i]) }
          for (j in 1:2) { q[j,1:3] ~ ddirch(a[1:3]); q[j,4] <- 1 - q[j,1] }
          v[1:2] ~ dmnorm(m[2:3], T[,]); v[3] <- v[1] + 1
          z ~ dcat(u[1:2])
        }""",
        {
            "N": 4,
            "g": [1, 2, 2, 1],
            "y": [1, 3, 2, NA],
            "a": [1, 2, 1, 1],
            "n": [3, 2, 2, 4],
            "w": [[1, 2], [2, 0], [1, 1], [0, 4]],
            "m": [5, 1, 2],
            "T": [[2, 0.5], [0.5, 1]],
            "u": [0.2, 0.3, 0.5],
            "z": 2,
        },
    ),
    Case(
        "trials of several arms",
        """model {
          for (i in 1:ns) {
            w[i,1] <- 0; delta[i,1] <- 0; mu[i] ~ dnorm(0, 0.1)
            for (k in 1:na[i]) {
              r[i,k] ~ dbin(p[i,k], n[i,k]); logit(p[i,k]) <- mu[i] + delta[i,k]; rhat[i,k] <- p[i,k]*n[i,k]
              dev[i,k] <- 2*(r[i,k]*(log(r[i,k]) - log(rhat[i,k]))
                             + (n[i,k] - r[i,k])*(log(n[i,k] - r[i,k]) - log(n[i,k] - rhat[i,k])))
            }
            resdev[i] <- sum(dev[i,1:na[i]])
            for (k in 2:na[i]) {
              delta[i,k] ~ dnorm(md[i,k], taud[i,k])
              md[i,k] <- d[t[i,k]] - d[t[i,1]] + sw[i,k]
              taud[i,k] <- tau*2*(k - 1)/k
              w[i,k] <- delta[i,k] - d[t[i,k]] + d[t[i,1]]
              sw[i,k] <- sum(w[i,1:(k-1)])/(k - 1)
            }
          }
          totresdev <- sum(resdev[])
          d[1] <- 0; for (k in 2:nt) { d[k] ~ dnorm(0, 0.1) }
          tau ~ dgamma(2, 1)
          for (c in 1:(nt-1)) { for (k in (c+1):nt) { or[c,k] <- exp(d[k] - d[c]); lor[c,k] <- d[k] - d[c] } }
        }""",
        {
            "ns": 3,
            "nt": 4,
            "na": [2, 4, 2],
            "t": [[1, 2, NA, NA], [1, 2, 3, 4], [2, 3, NA, NA]],
            "r": [[1, 2, NA, NA], [3, 4, 5, 2], [2, 2, NA, NA]],
            "n": [[10, 10, NA, NA], [10, 10, 10, 9], [9, 8, NA, NA]],
        },
    ),
    Case(
        "animals that enter",
        """model {
          for (i in 1:M) {
            z[i,1] ~ dbern(gamma[1])
            for (t in 2:T) {
              q[i,t-1] <- 1 - z[i,t-1]
              mu[i,t] <- phi*z[i,t-1] + gamma[t]*prod(q[i,1:(t-1)])
              z[i,t] ~ dbern(mu[i,t])
            }
            q[i,T] <- 1 - z[i,T]
            for (t in 1:T) { y[i,t] ~ dbern(0.6*z[i,t] + 0.001); recruit[i,t] <- q[i,t]*z[i,t] }
          }
          phi ~ dunif(0, 1)
          for (t in 1:T) { gamma[t] ~ dunif(0, 1); N[t] <- sum(z[1:M,t]); s[t] <- sum(gamma[1:t]) }
        }""",
        {"M": 3, "T": 4, "y": [[0, 1, 1, 0], [0, 0, 0, 1], [0, 0, 0, 0]]},
    ),
    Case(
        "matrices without brackets",
        """model {
          for (i in 1:N) { mu[i] <- x[i,] %*% b; y[i] ~ dnorm(mu[i] + mean(x) + inprod(x[i,], b), 1) }
          for (k in 1:3) { b[k] ~ dnorm(0, 1) }
          g[1:2] ~ dmnorm(m, V)
        }""",
        {
            "N": 2,
            "x": [[1, 2, 3], [2, 3, 5]],
            "y": [1, 2],
            "m": [0, 1],
            "V": [[2, 0.5], [0.5, 1]],
        },
    ),
)
