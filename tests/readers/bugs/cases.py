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
)
