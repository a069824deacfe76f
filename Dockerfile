# One image for every process of Kleis; the command says which: `kleis serve edge`, `kleis migrate`.
FROM python:3.13-slim

ENV PYTHONUNBUFFERED=1 \
    PYTHONDONTWRITEBYTECODE=1 \
    PIP_DISABLE_PIP_VERSION_CHECK=1 \
    PIP_NO_CACHE_DIR=1 \
    PIP_ROOT_USER_ACTION=ignore

# The number that Ory's images use too: Kratos and Keto can then read what `kleis render` writes
# for its owner alone. A named volume takes over the owner of the folder it is first mounted on.
RUN useradd --uid 10000 --no-create-home --shell /usr/sbin/nologin kleis \
    && install --directory --owner=10000 --group=10000 --mode=0700 /rendered/kratos /rendered/keto

WORKDIR /kleis

COPY requirements/run.lock requirements/run.lock
RUN pip install --require-hashes --no-deps --only-binary :all: -r requirements/run.lock

COPY pyproject.toml README.md LICENSE ./
COPY policies policies
COPY hooks hooks
COPY integration integration
COPY kratos kratos
COPY keto keto
# Editable, for `kleis render` reads kratos/ and keto/ beside the packages.
RUN pip install --no-deps --no-build-isolation --editable .

USER 10000:10000
ENTRYPOINT ["kleis"]
CMD ["--help"]
