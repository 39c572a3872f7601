"""More BUGS texts: what the classic examples beside those under tests/references/bugs are made of."""

from __future__ import annotations

from tests.readers.bugs.cases import NA, Case

CLASSIC = (
    Case(
        "asia",
        """model { smoking ~ dcat(p.smoking[1:2]); tub ~ dcat(p.tub[asia,1:2]);
        lung ~ dcat(p.lung[smoking,]);
        bronc ~ dcat(p.bronc[smoking,1:2]); either <- max(tub, lung);
        xray ~ dcat(p.xray[either,1:2]) ; dysp ~ dcat(p.dysp[either,bronc,1:2]) }""",
        dict(
            asia=2,
            dysp=2,
            **{
                "p.smoking": [0.5, 0.5],
                "p.tub": [[0.99, 0.01], [0.95, 0.05]],
                "p.lung": [[0.99, 0.01], [0.9, 0.1]],
                "p.bronc": [[0.7, 0.3], [0.4, 0.6]],
                "p.xray": [[0.95, 0.05], [0.02, 0.98]],
                "p.dysp": [[[0.9, 0.1], [0.2, 0.8]], [[0.3, 0.7], [0.1, 0.9]]],
            },
        ),
    ),
    Case(
        "cervix",
        """model { for (i in 1:N) { x[i] ~ dbern(p[i]); logit(p[i]) <- beta0C + beta*C[i];
        C[i] ~ dbern(q); w[i] ~ dbern(phi[x[i]+1, C[i]+1]) }
        q ~ dunif(0,1); beta0C ~ dnorm(0,1); beta ~ dnorm(0,1);
        for (j in 1:2) { for (k in 1:2) { phi[j,k] ~ dunif(0,1) } }
        gamma1 <- 1/(1 + (1+exp(beta0C + beta))/(1+exp(beta0C))) }""",
        {"N": 3, "x": [1, 0, NA], "C": [0, 1, 1], "w": [1, 0, 1]},
    ),
    Case(
        "leuk",
        """data { for (i in 1:N) { for (j in 1:T) { Y[i,j] <- step(obs.t[i] - t[j] + eps);
        dN[i,j] <- Y[i,j]*step(t[j+1] - obs.t[i] - eps)*fail[i] } } }
        model { for (j in 1:T) { for (i in 1:N) { dN[i,j] ~ dpois(Idt[i,j]);
        Idt[i,j] <- Y[i,j]*exp(beta*Z[i])*dL0[j] }
        dL0[j] ~ dgamma(mu[j], c); mu[j] <- dL0.star[j]*c;
        S.treat[j] <- pow(exp(-sum(dL0[1:j])), exp(beta*-0.5)) } c <- 0.5; r <- 0.1
        for (j in 1:T) { dL0.star[j] <- r*(t[j+1]-t[j]) } beta ~ dnorm(0,1) }""",
        {
            "N": 3,
            "T": 2,
            "obs.t": [1, 1, 2],
            "t": [1, 2, 3],
            "eps": 1e-9,
            "fail": [1, 0, 1],
            "Z": [0.5, -0.5, 0.5],
        },
    ),
    Case(
        "lag2",
        """model { x[1] ~ dnorm(0,1); x[2] ~ dnorm(0, 1);
        for (t in 3:T) { x[t] ~ dnorm(2*x[t-1] - x[t-2], tau) } tau ~ dgamma(1,1);
        for (t in 1:T) {y[t] ~ dnorm(x[t],1)} }""",
        {"T": 5, "y": [1, 2, 3, 4, 5]},
    ),
    Case(
        "lag2b",
        """model { x[1] ~ dnorm(0,1); x[2] ~ dnorm(x[1], 1);
        for (t in 3:T) { x[t] ~ dnorm(2*x[t-1] - x[t-2], tau) } tau ~ dgamma(1,1);
        for (t in 1:T) {y[t] ~ dnorm(x[t],1)} }""",
        {"T": 5, "y": [1, 2, 3, 4, 5]},
    ),
    Case(
        "equiv",
        """model { for (k in 1:P) { for (i in 1:N) { Y[i,k] ~ dnorm(m[i,k], tau1);
        m[i,k] <- mu + sign[T[i,k]]*phi/2 + sign[k]*pi/2 + delta[i];
        T[i,k] <- group[i]*(k-1.5) + 1.5 } }
        for (i in 1:N) { delta[i] ~ dnorm(0, tau2) }
        mu ~ dnorm(0,1) phi ~ dnorm(0,1) pi ~ dnorm(0,1) tau1 ~ dgamma(1,1) tau2 ~ dgamma(1,1);
        equiv <- step(exp(phi)-0.8) - step(exp(phi)-1.2) }""",
        {"P": 2, "N": 3, "group": [1, -1, 1], "sign": [1, -1], "Y": [[1, 2], [2, 1], [0, 3]]},
    ),
    Case(
        "pieces",
        """model { for (i in 1:3) { x[i] ~ dnorm(0,1) } for (i in 4:6) { x[i] ~ dnorm(x[1], 2) }
        for (i in 1:6) { y[i] ~ dnorm(x[i], 1); z[i] <- x[7-i] } }""",
        {"y": [1, 2, 3, 4, 5, 6]},
    ),
    Case(
        "spline",
        """model { for (i in 1:n) { y[i] ~ dnorm(m[i], tau);
        m[i] <- beta[1] + beta[2]*x[i] + inprod(b[], Z[i,]) + f[g[i],h[i]] }
        for (k in 1:K) { b[k] ~ dnorm(0, taub) }
        for (j in 1:2) { beta[j] ~ dnorm(0, 0.01) }
        for (a in 1:2) { for (c in 1:3) { f[a,c] ~ dnorm(0,1) } } tau ~ dgamma(1,1); sb ~ dunif(0,10);
        taub <- pow(sb,-2); res[1:n] <- y[1:n] - m[1:n] }""",
        {
            "n": 3,
            "K": 2,
            "x": [0, 1, 2],
            "y": [1, 2, 4],
            "Z": [[0, 1], [1, 0], [1, 1]],
            "g": [1, 2, 2],
            "h": [3, 1, 2],
        },
    ),
    Case(
        "mice",
        """model { for (i in 1:M) { for (j in 1:N) { is.censored[i,j] ~ dinterval(t[i,j], t.cen[i,j]);
        t[i,j] ~ dweib(r, mu[i]) } mu[i] <- exp(beta[i]); beta[i] ~ dnorm(0, 1);
        median[i] <- pow(log(2)*exp(-beta[i]), 1/r) }
        r ~ dexp(0.5); veh.control <- beta[2] - beta[1] }""",
        {"M": 2, "N": 2, "t": [[1, NA], [2, NA]], "t.cen": [[0, 3], [0, 2]], "is.censored": [[1, 1], [1, 1]]},
        {"t": [[NA, 4], [NA, 5]]},
    ),
    Case(
        "scalars",
        """model { y ~ dnorm(mu, 1); mu <- N*b; b ~ dnorm(0, 1/N); for (i in 1:N) { x[i] ~ dnorm(b*i, i);
        w[i] <- sum(x[])/N + equals(i, 2)*x[i] } }""",
        {"N": 3, "y": 1},
    ),
    Case(
        "partial cat",
        """model { for (i in 1:N) { T[i] ~ dcat(P[]); y[i] ~ dnorm(m[T[i]], 1); z[i] <- m[T[i]];
        for (k in 1:2) { U[i,k] ~ dcat(Q[k,]) } } P[1:3] ~ ddirch(a[]);
        for (k in 1:3) { m[k] ~ dnorm(0,1); a[k] <- 1 } }""",
        {
            "N": 4,
            "T": [1, NA, 3, NA],
            "y": [1, 2, 3, 2],
            "U": [[1, 2], [NA, 1], [2, 2], [1, NA]],
            "Q": [[0.3, 0.7], [0.6, 0.4]],
        },
        {"T": [NA, 2, NA, 1], "U": [[NA, NA], [2, NA], [NA, NA], [NA, 1]]},
    ),
    Case(
        "ragged mu",
        """model { for (i in 1:N) { for (j in 1:n[i]) { y[i,j] ~ dpois(mu[i,j]);
        log(mu[i,j]) <- a[i] + b*x[i,j] + e[i,j]; e[i,j] ~ dnorm(0, tau) } a[i] ~ dnorm(0,1) }
        b ~ dnorm(0,1); tau ~ dgamma(2,1) }""",
        {"N": 2, "n": [1, 2], "x": [[1, NA], [0, 1]], "y": [[2, NA], [1, NA]]},
        {"y": [[NA, NA], [NA, 3]]},
    ),
    Case(
        "triangle",
        """model { for (i in 2:N) { for (j in 1:(i-1)) { d[i,j] <- abs(x[i]-x[j]);
        y[i,j] ~ dnorm(d[i,j], 1) } } for (i in 1:N) { x[i] ~ dnorm(0,1) } }""",
        {"N": 3, "y": [[NA, NA, NA], [1, NA, NA], [2, 1, NA]]},
    ),
    Case(
        "three",
        """model { for (i in 1:2) { for (j in 1:3) { for (k in 1:2) { y[i,j,k] ~ dnorm(a[i] + b[j] +
        c[k] + d[j,k], 1) } } } for (i in 1:2) { a[i] ~ dnorm(0,1); c[i] ~ dnorm(1,1) }
        for (j in 1:3) { b[j] ~ dnorm(0,1); for (k in 1:2) { d[j,k] ~ dnorm(0,1) } }
        t <- sum(y[1,,]) - sum(d[,2]) + prod(y[,2,1]) }""",
        {"y": [[[1, 2], [3, 4], [5, 6]], [[1, 2], [3, 4], [NA, 6]]]},
    ),
    Case(
        "school",
        """model { for (j in 1:J) { y[j] ~ dnorm(theta[j], prec[j]); theta[j] <- mu + tau*eta[j];
        eta[j] ~ dnorm(0,1); prec[j] <- pow(s[j], -2) } mu ~ dnorm(0, 0.04);
        tau ~ dt(0, 0.04, 1) T(0,); best <- equals(theta[1], max(theta[])) }""",
        {"J": 3, "y": [28, 8, -3], "s": [15, 10, 16]},
    ),
    Case(
        "mixed bounds",
        """model { for (i in 1:N) { x[i] ~ dunif(lo[i], hi) T(lo[i]+0.1, hi-0.1);
        y[i] ~ dbin(p[g[i],2], 5) } for (k in 1:2) { for (m in 1:2) { p[k,m] ~ dbeta(1,1) } }
        hi <- 10 + w; w ~ dexp(1);
        for (i in 1:N) { q[i] <- ifelse(x[i] > 5 && y[i] >= 2 || x[i] < 3, 1, -1) } }""",
        {"N": 3, "lo": [0, 1, 2], "y": [1, 2, 3], "g": [2, 1, 2]},
    ),
)
